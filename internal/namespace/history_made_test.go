package namespace

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// Undoing again takes the undoing back, as often as one likes, and the whole of it, whatever that was.
func TestUndoingIsUndone(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	makeTree(t, w, r)
	mkfile(t, r, Root, "gone", 7)
	f := mkfile(t, r, Root, "kept", 8)
	w.pass(time.Minute)
	before := shownAll(t, r)
	remove := func(dir NodeID, name string, isDir bool) { must(r.Remove(dir, name, isDir)) }
	a := must(r.Lookup(Root, "a"))
	sub := must(r.Lookup(a.ID, "sub"))
	for _, e := range must(r.At(sub.ID, 1<<62)) {
		remove(sub.ID, e.Name, false)
	}
	remove(a.ID, "sub", true)
	for _, e := range must(r.At(a.ID, 1<<62)) {
		remove(a.ID, e.Name, false)
	}
	remove(Root, "a", true)
	remove(Root, "gone", false)
	must(r.Commit(f.ID, nil, content(9), Now))
	must(0, onlyErr(r.Rename(Root, "kept", Root, "moved", 0)))
	after := shownAll(t, r)
	for i := range 5 {
		w.pass(10 * time.Second)
		undo(t, r, i == 0, true)
		out := undo(t, r, i == 0, false)
		for _, line := range out {
			if len(out) < 8 || line == "" {
				t.Errorf("%d: %q", i, out)
			}
		}
		if got, want := shownAll(t, r), [2][]string{before, after}[i%2]; !slices.Equal(got, want) {
			t.Fatalf("%d: %q\nwant %q", i, got, want)
		}
	}
}

// So is a restore, with the folders that were made for it; but not what somebody changed since.
func TestRestoreIsUndone(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	f := mkfile(t, r, Root, "f", 1)
	w.pass(time.Minute)
	must(r.Commit(f.ID, nil, content(2), Now))
	before := shownAll(t, r)
	for i := range 2 {
		w.pass(time.Minute)
		_, past, err := r.Versions("f")
		must(0, err)
		want(t, must(restore(t, r, past[0], "new/place/f", &brought{})), "new/place/f")
		if i == 1 {
			e := must(r.Resolve("new/place/f"))
			w.pass(10 * time.Second)
			must(r.Commit(e.ID, nil, content(5), Now)) // another state of it ends: only that is undone
			want(t, undo(t, r, false, false), "new/place/f")
			continue
		}
		want(t, undo(t, r, false, false), "new", "new/place", "new/place/f")
		if got := shownAll(t, r); !slices.Equal(got, before) {
			t.Errorf("%q", got)
		}
	}
}

// The names of a file with several come back as names of one file.
func TestHardLinksComeBack(t *testing.T) {
	for _, how := range []string{"undo", "restore"} {
		w := newWorld(t, 1, 1)
		r := w.devices[0].Replica
		d := mkdir(t, r, Root, "d")
		f := mkfile(t, r, d.ID, "f", 3)
		must(r.Link(f.ID, d.ID, "l"))
		w.pass(time.Minute)
		for _, name := range []string{"f", "l"} {
			must(r.Remove(d.ID, name, false))
		}
		must(r.Remove(Root, "d", true))
		w.pass(time.Second)
		if how == "undo" {
			want(t, undo(t, r, true, false), "d", "d/f", "d/l")
		} else {
			_, past, err := r.Versions("d")
			must(0, err)
			want(t, must(restore(t, r, past[0], "", &brought{})), "d", "d/f", "d/l")
		}
		x, y := must(r.Resolve("d/f")), must(r.Resolve("d/l"))
		if x.ID != y.ID || x.Nlink != 2 || x.Size() != 3 {
			t.Errorf("%s: %+v and %+v", how, x, y)
		}
		w.pass(10 * time.Second)
		if got := undo(t, r, false, false); len(got) != 3 {
			t.Errorf("%s, undone: %q", how, got)
		}
		if got := shownAll(t, r); len(got) != 0 {
			t.Errorf("%s, undone: %q is left", how, got)
		}
		w.pass(10 * time.Second)
		if got := undo(t, r, false, false); len(got) != 3 {
			t.Errorf("%s, and that undone: %q", how, got)
		}
		if x, y := must(r.Resolve("d/f")), must(r.Resolve("d/l")); x.ID != y.ID || x.Nlink != 2 {
			t.Errorf("%s, and that undone: %+v and %+v", how, x, y)
		}
	}
}

// A name of a file that has others comes back as one of them; in another place, or when the file has changed, as a
// file of its own.
func TestAHardLinkComesBack(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	f := mkfile(t, r, Root, "f", 3)
	must(r.Link(f.ID, Root, "l"))
	w.pass(time.Minute)
	must(r.Remove(Root, "f", false))
	w.pass(time.Minute)
	old := versionsOf(t, r, "f")[0]
	must(restore(t, r, old, "", &brought{}))
	if e := must(r.Lookup(Root, "f")); e.ID != f.ID || e.Nlink != 2 {
		t.Errorf("%+v", e)
	}
	must(restore(t, r, old, "copy", &brought{}))
	must(r.Remove(Root, "f", false))
	must(r.Commit(f.ID, nil, content(4), Now))
	must(restore(t, r, old, "", &brought{}))
	for _, name := range []string{"copy", "f"} {
		if e := must(r.Lookup(Root, name)); e.ID == f.ID || e.Nlink != 1 || e.Size() != 3 {
			t.Errorf("%+v", e)
		}
	}
}

// A file that was there for long comes back as it was last, though that was only for a moment.
func TestTheLastStateIsKept(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	r := a.Replica
	f := mkfile(t, r, Root, "f", 1)
	w.pass(time.Minute)
	must(r.Commit(f.ID, nil, content(2), Now))
	w.pass(time.Second)
	must(r.Remove(Root, "f", false))
	want(t, undo(t, r, false, false), "f")
	if e := must(r.Resolve("f")); e.Size() != 2 {
		t.Errorf("%+v", e)
	}
	// What showed here for a while is kept here, however short its writer had it.
	mkfile(t, r, Root, "precious", 5)
	pull(t, b, a, -1)
	w.pass(time.Second)
	must(r.Remove(Root, "precious", false))
	w.pass(8 * time.Second)
	pull(t, b, a, -1)
	wantStates(t, versionsOf(t, b.Replica, "precious"), "precious:5 removed")
}

// To keep both versions of a conflict is a change, too: undo does not pass over it to an older one.
func TestUndoAfterKeepingBoth(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	f := mkfile(t, a.Replica, Root, "f", 1)
	mkfile(t, a.Replica, Root, "older", 2)
	w.pass(time.Minute)
	must(a.Remove(Root, "older", false))
	w.heal()
	w.pass(time.Minute)
	must(a.Commit(f.ID, nil, content(3), Now))
	must(b.Commit(f.ID, nil, content(4), Now))
	w.heal()
	w.pass(time.Minute)
	must(b.SettleClash(Root, "f", KeepBoth))
	_, err := b.LastChange(false)
	wantKind(t, err, errs.Exist)
	want(t, undo(t, b.Replica, true, true), "f: stale") // another device has changed it, too
}

// What an undo or a restore replaces can be had again, however young it was: also an empty file.
func TestWhatARestoreReplacesIsKept(t *testing.T) {
	for _, size := range []uint64{2, 0} {
		w := newWorld(t, 1, 1)
		r := w.devices[0].Replica
		f := mkfile(t, r, Root, "f", 1)
		w.pass(time.Minute)
		must(r.Commit(f.ID, nil, content(int(size)), Now))
		w.pass(500 * time.Millisecond)
		for i, want := range []uint64{1, size, 1, size} {
			undo(t, r, false, false)
			if e := must(r.Lookup(Root, "f")); e.Size() != want {
				t.Fatalf("after undo %d it has %d bytes, want %d", i+1, e.Size(), want)
			}
			w.pass(500 * time.Millisecond)
		}
		must(restore(t, r, versionsOf(t, r, "f")[len(versionsOf(t, r, "f"))-1], "", &brought{}))
		w.pass(500 * time.Millisecond)
		undo(t, r, false, false)
		if e := must(r.Lookup(Root, "f")); e.Size() != size {
			t.Errorf("after a restore and an undo it has %d bytes, want %d", e.Size(), size)
		}
		must(0, r.Check())
	}
}

// An undo that was broken off, and is said again, finds what is back as it should be.
func TestUndoGoesOn(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	makeTree(t, w, r)
	before := shownAll(t, r)
	removeAll(t, w, r, Root, "a")
	ended := must(r.LastChange(true))
	steps := 0
	ctx, cancel := context.WithCancel(t.Context())
	_ = r.Undo(ctx, ended, false, (&brought{}).bring, func(Put) {
		if steps++; steps == 3 {
			cancel()
		}
	})
	if got := shownAll(t, r); len(got) == 0 || len(got) == len(before) {
		t.Fatalf("%q after %d steps", got, steps)
	}
	if err := r.Undo(t.Context(), ended, false, (&brought{}).bring, func(p Put) {
		if p.Err != nil {
			t.Errorf("%s: %v", p.Path, p.Err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if got := shownAll(t, r); !slices.Equal(got, before) {
		t.Errorf("%q\nwant %q", got, before)
	}
}

// After an undo of the last of several changes, the burst that it was of is taken back whole.
func TestUndoAPartThenTheBurst(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	makeTree(t, w, r)
	mkfile(t, r, Root, "over", 7)
	mkfile(t, r, Root, "by", 8)
	f := mkfile(t, r, Root, "f", 9)
	w.pass(time.Minute)
	before := shownAll(t, r)
	removeAll(t, w, r, Root, "a")
	must(r.Commit(f.ID, nil, content(10), Now))
	must(0, onlyErr(r.Rename(Root, "by", Root, "over", RenameReplace)))
	ended := must(r.LastChange(false))
	if !must(r.Earlier(ended)) || must(r.Earlier(must(r.LastChange(true)))) {
		t.Error("how much belongs together is not told")
	}
	undo(t, r, false, false)
	part := shownAll(t, r)
	if slices.Equal(part, before) {
		t.Fatal("one change took back all")
	}
	w.pass(time.Minute)
	for i := range 3 {
		for _, x := range undo(t, r, true, false) {
			if strings.Contains(x, "!") {
				t.Error(x)
			}
		}
		if got, want := shownAll(t, r), [2][]string{before, part}[i%2]; !slices.Equal(got, want) {
			t.Fatalf("%d: %q\nwant %q", i, got, want)
		}
		w.pass(time.Minute)
	}
	must(0, r.Check())
}

// The last change is the last one that was made, also if the clock was ahead before, and is not now.
func TestUndoAfterTheClockWasSetBack(t *testing.T) {
	w := newWorld(t, 1, 1)
	d := w.devices[0]
	f, g := mkfile(t, d.Replica, Root, "f", 1), mkfile(t, d.Replica, Root, "g", 2)
	w.pass(time.Minute)
	w.now = w.now.Add(time.Hour)
	must(d.Commit(f.ID, nil, content(3), Now))
	w.pass(time.Minute)
	w.now = w.now.Add(-time.Hour)
	d.close()
	d.open()
	must(d.Commit(g.ID, nil, content(4), Now))
	w.pass(time.Minute)
	for i := range 4 {
		want(t, undo(t, d.Replica, i%3 == 0, false), "g")
		if got, want := must(d.Lookup(Root, "g")).Content, [2]int{2, 4}[i%2]; got != content(want) {
			t.Fatalf("%d: %v, want %d", i, got, want)
		}
		w.pass(time.Minute)
	}
}
