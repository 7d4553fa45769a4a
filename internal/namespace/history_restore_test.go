package namespace

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// brought is a Bring that has everything but what it is told to lack.
type brought struct {
	lacks blocks.Content
	owned map[NodeID]blocks.Content
}

func (b *brought) bring(_ context.Context, n NodeID, c blocks.Content) (func() error, error) {
	if c == b.lacks {
		return nil, errs.E("bring", errs.Offline, "", nil)
	}
	return func() error {
		if b.owned == nil {
			b.owned = map[NodeID]blocks.Content{}
		}
		b.owned[n] = c
		return nil
	}, nil
}

func restore(t *testing.T, r *Replica, f Former, to string, b *brought) (out []string, err error) {
	t.Helper()
	err = r.Restore(context.Background(), f, to, b.bring, func(p Put) { out = append(out, put(p)) })
	slices.Sort(out)
	return out, err
}

func undo(t *testing.T, r *Replica, burst, dry bool) (out []string) {
	t.Helper()
	fs := must(r.LastChange(burst))
	if err := r.Undo(context.Background(), fs, dry, (&brought{}).bring, func(p Put) { out = append(out, put(p)) }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func put(p Put) string {
	s := p.Path
	if p.From != "" {
		s = p.From + " -> " + s
	}
	if p.Err != nil {
		s += ": " + errs.KindOf(p.Err).String()
	}
	return s
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// shownAll is every path that a device shows, with sizes.
func shownAll(t *testing.T, r *Replica) (out []string) {
	t.Helper()
	for p, s := range snapshot(t, r, Root, "", map[string]string{}, func(dir NodeID) []Entry { return must(r.At(dir, 1<<62)) }) {
		out = append(out, p[1:]+" "+s)
	}
	slices.Sort(out)
	return out
}

// tree makes a/{f:1,g:2,sub/{h:3,link}}.
func makeTree(t *testing.T, w *world, r *Replica) (a, sub Entry) {
	a = mkdir(t, r, Root, "a")
	mkfile(t, r, a.ID, "f", 1)
	mkfile(t, r, a.ID, "g", 2)
	sub = mkdir(t, r, a.ID, "sub")
	mkfile(t, r, sub.ID, "h", 3)
	must(r.Create(sub.ID, "link", Spec{Kind: Symlink, Target: "h"}))
	w.pass()
	return a, sub
}

// removeAll is rm -rf; each step takes a while.
func removeAll(t *testing.T, w *world, r *Replica, dir NodeID, name string) {
	e := must(r.Lookup(dir, name))
	if e.Kind == Dir {
		for _, k := range must(r.At(e.ID, 1<<62)) {
			removeAll(t, w, r, e.ID, k.Name)
		}
	}
	must(r.Remove(dir, name, e.Kind == Dir))
	w.pass(300 * time.Millisecond)
}

func TestRestoreFile(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	r := a.Replica
	f := mkfile(t, r, Root, "f", 5)
	must(0, r.SetXattr(f.ID, "user.tag", []byte("x"), 0))
	must(r.SetAttr(f.ID, AttrChange{Mode: ptr(uint32(0o600))}))
	w.pass()
	must(r.Commit(f.ID, nil, content(6), Now))
	w.pass()
	old := versionsOf(t, r, "f")[0]

	br := &brought{}
	must(restore(t, r, old, "", br))
	if e := must(r.Lookup(Root, "f")); e.ID != f.ID || e.Size() != 5 || br.owned[f.ID] != content(5) || e.Mtime != old.Mtime {
		t.Errorf("%+v", e)
	}
	w.pass()
	must(r.Remove(Root, "f", false))
	old = versionsOf(t, r, "f")[0]
	must(restore(t, r, old, "", br)) // the same file again
	e := must(r.Lookup(Root, "f"))
	if tag, err := r.GetXattr(e.ID, "user.tag"); e.ID != f.ID || e.Mode != 0o600 || err != nil || string(tag) != "x" {
		t.Errorf("%+v, %q, %v", e, tag, err)
	}
	out, err := restore(t, r, old, "deep/down/f", br) // a copy
	if err != nil || must(r.Resolve("deep/down/f")).ID == f.ID || must(r.Resolve("deep/down/f")).Mode != 0o600 {
		t.Error(out, err)
	}
	must(r.Commit(f.ID, nil, content(8), Now))
	must(r.SetAttr(f.ID, AttrChange{Mode: ptr(uint32(0o644))}))
	w.pass()
	must(r.Remove(Root, "f", false))
	must(restore(t, r, old, "", br)) // with the mode of then
	if e := must(r.Lookup(Root, "f")); e.ID != f.ID || e.Mode != 0o600 || e.Size() != 5 {
		t.Errorf("%+v", e)
	}
	// what is in the way stays
	mkdir(t, r, Root, "d")
	_, err = restore(t, r, old, "d", br)
	wantKind(t, err, errs.Exist)
	_, err = restore(t, r, old, "f/x", br)
	wantKind(t, err, errs.NotDir)
	_, err = restore(t, r, old, "/", br)
	wantKind(t, err, errs.Invalid)
	// blocks that nobody has: nothing is written
	before := r.Written()
	_, err = restore(t, r, old, "other", &brought{lacks: old.Content})
	if wantKind(t, err, errs.Offline); r.Written() != before {
		t.Error("a record names blocks that are not there")
	}
	w.heal()
	want(t, shownAll(t, b.Replica), shownAll(t, r)...)
	for _, d := range w.devices {
		must(0, d.Check())
	}
}

// Only what comes back is told; and all of the share can come back as of a moment.
func TestRestoreWhatIsThere(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	makeTree(t, w, r)
	mkfile(t, r, Root, "f", 1)
	w.pass(time.Minute)
	before, then := shownAll(t, r), w.now.UnixNano()
	w.pass(time.Minute)
	a := must(r.Lookup(Root, "a"))
	must(r.Remove(a.ID, "f", false))
	must(r.Remove(Root, "f", false))
	all := Former{Entry: must(r.Get(Root)), How: Moved, Key: FormerKey{Until: uint64(then) + 1}}
	want(t, must(restore(t, r, all, "/", &brought{})), "a/f", "f")
	want(t, shownAll(t, r), before...)
	want(t, must(restore(t, r, all, "/", &brought{})))
}

// A file whose removal everybody has forgotten comes back as a new one.
func TestRestoreCollected(t *testing.T) {
	w := newMemWorld(t, 1, 2)
	a := w.devices[0]
	f := mkfile(t, a.Replica, Root, "f", 5)
	w.heal()
	w.pass()
	must(a.Remove(Root, "f", false))
	w.heal()
	must(0, a.Acknowledged(w.devices[1].id(), w.devices[1].Claims()))
	if n := must(a.Collect(context.Background())); n == 0 {
		t.Fatal("nothing was collected")
	}
	must(restore(t, a.Replica, versionsOf(t, a.Replica, "f")[0], "", &brought{}))
	if e := must(a.Lookup(Root, "f")); e.ID == f.ID || e.Size() != 5 {
		t.Errorf("%+v", e)
	}
	must(0, a.Check())
}

func TestRestoreTree(t *testing.T) {
	w := newWorld(t, 1, 2)
	r := w.devices[0].Replica
	a, sub := makeTree(t, w, r)
	mkfile(t, r, a.ID, "gone before", 9)
	w.pass()
	must(r.Remove(a.ID, "gone before", false))
	w.pass()
	whole := shownAll(t, r)
	w.heal()
	removeAll(t, w, r, Root, "a")
	if s := r.Stat(); s != (Totals{}) {
		t.Fatal(s)
	}
	w.heal()
	other := w.devices[1].Replica // restores what it saw go
	out, err := restore(t, other, must(other.Removed(Root))[0], "", &brought{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, out, "a", "a/f", "a/g", "a/sub", "a/sub/h", "a/sub/link")
	want(t, shownAll(t, other), whole...)
	if e := must(other.Resolve("a/sub")); e.ID != sub.ID {
		t.Error("not the same directory again")
	}
	w.heal()
	wantStates(t, versionsOf(t, r, "a/gone before"), "gone before:9 removed")
	want(t, shownAll(t, r), whole...)

	// beside, and only one file of a tree that is gone
	w.pass()
	removeAll(t, w, r, Root, "a")
	must(restore(t, r, must(r.Removed(Root))[0], "b/c", &brought{}))
	want(t, shownAll(t, r), "b 2 0", "b/c 2 0", "b/c/f 1 1", "b/c/g 1 2", "b/c/sub 2 0", "b/c/sub/h 1 3", "b/c/sub/link 3 0h")
	must(restore(t, r, versionsOf(t, r, "a/sub/h")[0], "", &brought{}))
	if e := must(r.Resolve("a/sub/h")); e.Size() != 3 {
		t.Errorf("%+v", e)
	}
	must(0, r.Check())
}

func TestUndo(t *testing.T) {
	type step func(w *world, r *Replica)
	file := func(name string, n int) step {
		return func(w *world, r *Replica) { mkfile(t, r, Root, name, n) }
	}
	write := func(name string, n int) step {
		return func(w *world, r *Replica) { must(r.Commit(must(r.Lookup(Root, name)).ID, nil, content(n), Now)) }
	}
	move := func(from, to string) step {
		return func(w *world, r *Replica) { must(0, onlyErr(r.Rename(Root, from, Root, to, 0))) }
	}
	remove := func(name string) step {
		return func(w *world, r *Replica) { removeAll(t, w, r, Root, name) }
	}
	tree := func(w *world, r *Replica) { makeTree(t, w, r) }
	save := func(name string, n int) step {
		return func(w *world, r *Replica) {
			mkfile(t, r, Root, name+"~", n)
			must(0, onlyErr(r.Rename(Root, name+"~", Root, name, 0)))
		}
	}
	for name, c := range map[string]struct {
		before, change []step
		burst          bool
		done           []string
	}{
		"overwritten":  {[]step{file("f", 1)}, []step{write("f", 2)}, false, []string{"f"}},
		"removed":      {[]step{file("f", 1)}, []step{remove("f")}, false, []string{"f"}},
		"moved":        {[]step{file("f", 1)}, []step{move("f", "g")}, false, []string{"g -> f"}},
		"renamed over": {[]step{file("f", 1), file("g", 2)}, []step{move("f", "g")}, false, []string{"g", "g -> f"}},
		"overwritten, renamed over": {[]step{file("f", 1), file("g", 2)}, []step{write("f", 3), move("f", "g")}, true,
			[]string{"g", "g -> f"}},
		"saved":          {[]step{file("f", 1)}, []step{save("f", 2)}, false, []string{"f"}},
		"saved twice":    {[]step{file("f", 1)}, []step{save("f", 2), save("f", 3)}, true, []string{"f"}},
		"edited, moved":  {[]step{file("f", 1)}, []step{write("f", 2), move("f", "g"), write("g", 3)}, true, []string{"g -> f"}},
		"moved, removed": {[]step{file("f", 1)}, []step{move("f", "g"), remove("g")}, true, []string{"f"}},
		"tree removed":   {[]step{tree}, []step{remove("a")}, true, []string{"a", "a/f", "a/g", "a/sub", "a/sub/h", "a/sub/link"}},
		"tree moved, all within removed": {[]step{tree}, []step{move("a", "b"), remove("b")}, true,
			[]string{"a", "a/f", "a/g", "a/sub", "a/sub/h", "a/sub/link"}},
		"round":    {[]step{file("x", 1), file("y", 2)}, []step{move("x", "t"), move("y", "x"), move("t", "y")}, true, []string{"x -> y", "y -> x"}},
		"only one": {[]step{file("x", 1), file("y", 2)}, []step{write("x", 3), write("y", 4), write("y", 5)}, true, []string{"x", "y"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, 2)
			r := w.devices[0].Replica
			for _, s := range c.before {
				s(w, r)
				w.pass()
			}
			was := shownAll(t, r)
			for _, s := range c.change {
				s(w, r)
				w.pass(50 * time.Millisecond)
			}
			w.heal()
			then := shownAll(t, r)
			want(t, undo(t, r, c.burst, true), c.done...)
			want(t, shownAll(t, r), then...)
			want(t, undo(t, r, c.burst, false), c.done...)
			want(t, shownAll(t, r), was...)
			w.heal()
			want(t, shownAll(t, w.devices[1].Replica), was...)
			must(0, r.Check())
		})
	}
}

// What somebody changed since is left alone, and said.
func TestUndoRefuses(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	r := a.Replica
	for i := range 5 {
		mkfile(t, r, Root, fmt.Sprint(i), i+1)
	}
	w.heal()
	w.pass()
	e := func(x *device, i int) Entry { return must(x.Lookup(Root, fmt.Sprint(i))) }
	must(r.Commit(e(a, 0).ID, nil, content(10), Now))
	must(r.Remove(Root, "1", false))
	must(r.Remove(Root, "2", false))
	must(0, onlyErr(r.Rename(Root, "3", Root, "three", 0)))
	must(r.Commit(e(a, 4).ID, nil, content(14), Now))
	w.heal()
	w.pass()
	must(b.Commit(e(b, 0).ID, nil, content(20), Now))
	mkfile(t, b.Replica, Root, "1", 21)
	must(0, onlyErr(b.Rename(Root, "three", Root, "drei", 0)))
	w.heal()
	then := shownAll(t, r)
	all := []string{"0: stale", "1: already exists", "2", "4", "drei -> 3: stale"}
	want(t, undo(t, r, true, true), all...)
	want(t, shownAll(t, r), then...)
	want(t, undo(t, r, true, false), all...)
	if x := e(a, 0); x.Size() != 20 {
		t.Error("another device's work was undone")
	}
	if x := e(a, 4); x.Size() != 5 {
		t.Error("not undone")
	}
	_, err := b.LastChange(false) // it has ended states of its own
	if err != nil {
		t.Error(err)
	}
	c := newWorld(t, 2, 1).devices[0]
	mkfile(t, c.Replica, Root, "x", 1)
	_, err = c.LastChange(true)
	wantKind(t, err, errs.NotExist)
}

// Undo can be undone; a quiet gap ends a burst.
func TestUndoTwice(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	f := mkfile(t, r, Root, "f", 1)
	g := mkfile(t, r, Root, "g", 2)
	w.pass()
	must(r.Commit(f.ID, nil, content(3), Now))
	w.pass(burstGap + time.Second)
	must(r.Commit(g.ID, nil, content(4), Now))
	w.pass()
	want(t, undo(t, r, true, false), "g")
	w.pass()
	want(t, undo(t, r, true, false), "g")
	if e := must(r.Get(g.ID)); e.Size() != 4 {
		t.Errorf("%+v", e)
	}
	l := must(r.Link(f.ID, Root, "l"))
	w.pass()
	must(r.Remove(Root, "f", false))
	want(t, undo(t, r, false, false), "f")
	if e := must(r.Lookup(Root, "f")); e.ID != l.ID || e.Nlink != 2 {
		t.Errorf("%+v", e)
	}
}

// A directory comes back as it was before it was emptied, whatever else was done at that time, there or elsewhere.
func TestRestoreTreeAmidOtherWork(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	log := mkfile(t, r, Root, "log", 1)
	inside := NodeID{}
	for i := range 20 {
		w.pass(3 * time.Second)
		must(r.Commit(log.ID, nil, content(2+i), Now))
		if i == 10 {
			makeTree(t, w, r)
			a := must(r.Lookup(Root, "a"))
			inside = mkfile(t, r, a.ID, "log", 1).ID
		}
		if i > 10 {
			must(r.Commit(inside, nil, content(2+i), Now))
		}
	}
	before := shownAll(t, r)
	removeAll(t, w, r, Root, "a")
	must(restore(t, r, must(r.Removed(Root))[0], "", &brought{}))
	if got := shownAll(t, r); !slices.Equal(got, before) {
		t.Errorf("%q\nwant %q", got, before)
	}
}

// A removal may reach another device in parts, each of which ends many states at one moment.
func TestRestoreTreeRemovedInParts(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	dir := mkdir(t, a.Replica, Root, "top")
	for range 6 {
		dir = mkdir(t, a.Replica, dir.ID, "sub")
	}
	mkfile(t, a.Replica, dir.ID, "f", 1)
	pull(t, b, a, -1)
	before := shownAll(t, b.Replica)
	w.pass(time.Minute)
	must(a.Remove(dir.ID, "f", false))
	pull(t, b, a, -1)
	removeAll(t, w, a.Replica, Root, "top")
	pull(t, b, a, -1)
	must(restore(t, b.Replica, must(b.Removed(Root))[0], "", &brought{}))
	if got := shownAll(t, b.Replica); !slices.Equal(got, before) {
		t.Errorf("%q\nwant %q", got, before)
	}
}
