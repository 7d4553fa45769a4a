package namespace

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A side of a fork is void, and the disk that was to write it again is put back before anybody has
// heard it: who had that side says it again, with all that belongs to it, and over a restart.
func TestVoidSideIsSaidAgain(t *testing.T) {
	w := newMemWorld(t, 1, 3)
	a, b, c := w.devices[0], w.devices[1], w.devices[2]
	a.lieOn("a disk")
	gone := mkfile(t, a.Replica, Root, "gone", 1)
	moved := mkfile(t, a.Replica, Root, "moved", 2)
	w.heal()
	image := a.mem.Clone()
	mkfile(t, a.Replica, Root, "other side", 3)
	pull(t, c, a, -1)

	a.restore(image, "a disk") // unnoticed
	dir := mkdir(t, a.Replica, Root, "dir")
	file := mkfile(t, a.Replica, dir.ID, "file", 4)
	mode := uint32(0o640)
	must(a.SetAttr(file.ID, AttrChange{Mode: &mode}))
	if err := a.SetXattr(file.ID, "user.colour", []byte("blue"), 0); err != nil {
		t.Fatal(err)
	}
	if err := a.SetPlacement(file.ID, b.id(), Pinned); err != nil {
		t.Fatal(err)
	}
	must(a.Create(Root, "link", Spec{Kind: Symlink, Mode: 0o777, Target: "dir/file"}))
	if _, _, err := a.Rename(Root, "moved", dir.ID, "moved", 0); err != nil {
		t.Fatal(err)
	}
	must(a.Remove(Root, "gone", false))
	pull(t, b, a, -1)
	want := fmt.Sprint(shown(t, b.Replica, b))

	pull(t, a, c, -1) // it hears of its other side, and writes one of them again
	hear(t, b, a)     // but b hears no more than that
	if b.asides == 0 {
		t.Fatal("nothing lies aside; the test does not test anything")
	}
	if got := fmt.Sprint(shown(t, b.Replica, b)); got == want {
		t.Fatal("what is void shows")
	}
	b.close()
	b.open()
	a.restore(image, "another disk")
	w.heal()
	w.heal()
	w.converged()
	for _, d := range w.devices {
		if d.asides != 0 {
			t.Errorf("%s: %d still lie aside", d.name, d.asides)
		}
		got := slices.DeleteFunc(shown(t, d.Replica, b), func(s string) bool { return s == "/other side=3 mode 644" })
		if fmt.Sprint(got) != want {
			t.Errorf("%s shows\n%v, and was to show\n%v", d.name, got, want)
		}
	}
	if e := must(b.Get(moved.ID)); e.Parent != dir.ID {
		t.Errorf("what was moved is another file: %+v", e)
	}
	if _, err := b.Get(gone.ID); err == nil {
		t.Error("what was removed is back")
	}
}

// shown lists the whole tree with all attributes; of policies that on dev.
func shown(t *testing.T, r *Replica, dev *device) (out []string) {
	t.Helper()
	var walk func(dir NodeID, path string)
	walk = func(dir NodeID, path string) {
		for _, e := range must(r.List(dir, 0, 1000)) {
			s := fmt.Sprintf("%s/%s=%d mode %o", path, e.Name, e.Size(), e.Mode)
			for _, x := range must(r.ListXattr(e.ID)) {
				s += fmt.Sprintf(" %s:%s", x, must(r.GetXattr(e.ID, x)))
			}
			if _, p, err := r.Placement(e.ID, dev.id()); err != nil || p != Inherited {
				s += fmt.Sprint(" placed ", p, err)
			}
			out = append(out, strings.TrimSpace(s+" "+e.Target))
			if e.Kind == Dir {
				walk(e.ID, path+"/"+e.Name)
			}
		}
	}
	walk(Root, "")
	return out
}

// writeTwice has a device write 2 and, put back unnoticed, 3 to a file under the same numbers, and tells another one the first.
func writeTwice(t *testing.T, c, first *device, file NodeID) {
	t.Helper()
	image := c.mem.Clone()
	must(c.Commit(file, nil, content(2), Now))
	pull(t, first, c, -1)
	c.restore(image, "a disk")
	must(c.Commit(file, nil, content(3), Now))
}

// Of a log that has forked, and whose device has left, neither side holds; who is back goes on under
// a new incarnation.
func TestForkOfDepartedDeviceEnds(t *testing.T) {
	w := newMemWorld(t, 1, 4)
	w.tolerant = true // the other side is refused until then
	a, b, c, d := w.devices[0], w.devices[1], w.devices[2], w.devices[3]
	c.lieOn("a disk")
	shared := mkfile(t, c.Replica, Root, "shared", 1)
	w.heal()
	for i := range 20 {
		mkfile(t, c.Replica, Root, fmt.Sprint("before ", i), 10+i)
		pull(t, a, c, -1) // a batch each
	}
	w.heal()
	writeTwice(t, c, a, shared.ID)
	mkfile(t, c.Replica, Root, "more", 4)
	pull(t, b, c, -1)

	w.devices, w.left = []*device{a, b, d}, []*device{c}
	w.heal()
	w.heal()
	w.converged()
	for _, x := range w.devices {
		all := everything(t, x.Replica)
		if have := strings.Join(all, "\n"); len(all) != 23 || !strings.Contains(have, "/shared=2") || !strings.Contains(have, ")=3") || !strings.Contains(have, "/more=4") {
			t.Errorf("%s shows\n%s", x.name, have)
		}
		if n := x.Written(); x == d && n > 0 {
			t.Errorf("%s has said %d again, and had none of it", x.name, n)
		} else if n > 10 {
			t.Errorf("%s has said %d again: more than what lies behind the fork", x.name, n)
		}
	}

	w.devices, w.left = []*device{a, b, c, d}, nil // it is let in again
	mkfile(t, c.Replica, Root, "since", 5)
	w.heal()
	w.heal()
	w.converged()
	if _, err := a.Lookup(Root, "since"); err != nil {
		t.Error("what it wrote meanwhile is not taken:", err)
	}
}

// Who may not write is not believed that a log has ended, or it could void what others hold. But a newcomer that hears
// nobody else has nothing to lose, and must get all that was said again.
func TestNewcomerHearsOfAnEndFromAReader(t *testing.T) {
	w := newMemWorld(t, 1, 4)
	w.tolerant = true
	a, b, c, d := w.devices[0], w.devices[1], w.devices[2], w.devices[3]
	d.reader = true
	c.lieOn("a disk")
	shared := mkfile(t, c.Replica, Root, "shared", 1)
	w.heal()
	writeTwice(t, c, a, shared.ID)
	pull(t, b, c, -1)
	must(b.Commit(shared.ID, nil, content(4), Now)) // built on one side
	w.devices, w.left = []*device{a, b, d}, []*device{c}
	w.heal()
	w.heal()
	w.converged()

	e := w.addMem("e")
	for range 3 {
		pull(t, e, d, -1)
	}
	if have, want := everything(t, e.Replica), everything(t, d.Replica); !slices.Equal(have, want) || len(want) < 2 {
		t.Errorf("shows %q, the reader %q", have, want)
	}
	if !e.Claims().Covers(d.Claims()) {
		t.Errorf("claims %v, the reader %v", e.Claims(), d.Claims())
	}
}
