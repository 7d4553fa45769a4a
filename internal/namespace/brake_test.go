package namespace

import (
	"fmt"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

// braked is a world of devices that hold back more than 20 changes of old files, with 100 files
// of two days ago.
func braked(t *testing.T) (w *world, released map[ident.Writer]uint64) {
	w = newMemWorld(t, 1, 0)
	released = map[ident.Writer]uint64{}
	w.brake = Brake{Files: 20, Share: 0.1, Window: time.Hour, Age: 24 * time.Hour}
	w.released = func(x ident.Writer) uint64 { return released[x] }
	for i := range 3 {
		w.addMem(fmt.Sprintf("dev%d", i))
	}
	for i := range 100 {
		mkfile(t, w.devices[0].Replica, Root, fmt.Sprintf("f%02d", i), 1000+i)
	}
	w.heal()
	w.now = w.now.Add(48 * time.Hour)
	return w, released
}

func (w *world) release(t *testing.T, released map[ident.Writer]uint64, x ident.Writer, seq uint64) {
	released[x] = seq
	for _, d := range w.devices {
		must(0, d.ReleasesChanged())
	}
	w.heal()
}

// A device that removes everything is not followed beyond the limit, until somebody says so;
// what others do, and what it did before, goes on.
func TestBrakeHoldsRemovalsBack(t *testing.T) {
	w, released := braked(t)
	a, b, c := w.devices[0], w.devices[1], w.devices[2]
	mkfile(t, a.Replica, Root, "before", 1)
	for i := range 100 {
		must(a.Remove(Root, fmt.Sprintf("f%02d", i), false))
	}
	mkfile(t, a.Replica, Root, "after", 2)
	mkfile(t, b.Replica, Root, "of b", 3)
	w.heal()
	for _, d := range []*device{b, c} {
		if n := d.Stat().Files; n != 100-20+3 { // what is new is not held up by class
			t.Errorf("%s: %d files", d.name, n)
		}
		h := d.Held()
		if len(h) != 1 || h[0].Writer != a.self || h[0].Files != 20 || h[0].Upto != a.Written() {
			t.Fatalf("%s: %+v", d.name, h)
		}
		if d.Claims().Upto(a.self) >= h[0].From {
			t.Errorf("%s claims what it holds back", d.name)
		}
	}
	if n := len(a.HeldBy()); n != 2 {
		t.Errorf("the device hears of %d", n)
	}
	b.close()
	b.open()
	w.heal()
	if n := b.Stat().Files; n != 83 {
		t.Errorf("after a restart %d files", n)
	}
	w.release(t, released, a.self, b.Held()[0].Upto)
	w.heal()
	w.converged()
	wantNames(t, c.Replica, Root, "after", "before", "of b")
	if len(a.HeldBy()) != 0 || len(b.Held()) != 0 {
		t.Error("still held")
	}
}

// Overwriting counts like removing; young files, few files and moved files do not.
func TestBrakeCounts(t *testing.T) {
	file := func(i int) string { return fmt.Sprintf("f%02d", i) }
	for name, c := range map[string]struct {
		do   func(d *device)
		held bool
	}{
		"overwrite": {func(d *device) {
			for i := range 60 {
				must(d.Commit(must(d.Lookup(Root, file(i))).ID, nil, content(i+1), Now))
			}
		}, true},
		"encrypt into new names": {func(d *device) {
			for i := range 60 {
				mkfile(t, d.Replica, Root, file(i)+".locked", i+1)
				must(d.Remove(Root, file(i), false))
			}
		}, true},
		"few": {func(d *device) {
			for i := range 15 {
				must(d.Remove(Root, file(i), false))
			}
		}, false},
		"move": {func(d *device) {
			to := mkdir(t, d.Replica, Root, "to")
			for i := range 60 {
				_, _, err := d.Rename(Root, file(i), to.ID, file(i), RenameReplace)
				must(0, err)
			}
		}, false},
		"young": {func(d *device) {
			for i := range 60 {
				mkfile(t, d.Replica, Root, fmt.Sprint("new", i), i+1)
			}
			must(0, d.Sync(t.Context()))
			for i := range 60 {
				must(d.Remove(Root, fmt.Sprint("new", i), false))
			}
		}, false},
		"slowly": {func(d *device) {
			for i := range 60 {
				must(d.Remove(Root, file(i), false))
				if i%15 == 14 {
					d.world.heal()
					d.world.now = d.world.now.Add(2 * time.Hour)
				}
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, released := braked(t)
			a, b := w.devices[0], w.devices[1]
			c.do(a)
			w.heal()
			if got := len(b.Held()) > 0; got != c.held {
				t.Errorf("held back: %v", got)
			}
			w.release(t, released, a.self, a.Written())
			w.heal()
			w.converged()
		})
	}
}

// What is held back amid a session that is cut has to come again.
// What was written beside files and renamed over them is no conflict with these while their removals are held back.
func TestBrakeMakesNoConflicts(t *testing.T) {
	w, released := braked(t)
	a, b := w.devices[0], w.devices[1]
	for i := range 60 {
		name := fmt.Sprintf("f%02d", i)
		mkfile(t, a.Replica, Root, name+"~", i+1)
		_, _, err := a.Rename(Root, name+"~", Root, name, RenameReplace)
		must(0, err)
	}
	w.heal()
	if len(b.Held()) != 1 {
		t.Fatal(b.Held())
	}
	beside := 0
	for _, e := range must(b.List(Root, 0, 1000)) {
		if DerivedName(e.Name) {
			beside++
		}
	}
	if cs := clashes(t, b); beside == 0 || len(cs) != 0 {
		t.Errorf("%d names beside others, %d conflicts", beside, len(cs))
	}
	must(b.SettleClash(Root, "f59", KeepMine))
	w.release(t, released, a.self, a.Written())
	w.converged()
	if e := must(a.Lookup(Root, "f59")); e.Content != content(1059) {
		t.Errorf("what was kept: %+v", e)
	}
}

func TestBrakeAmidACutSession(t *testing.T) {
	w, released := braked(t)
	a, b := w.devices[0], w.devices[1]
	for i := range 60 {
		must(a.Commit(must(a.Lookup(Root, fmt.Sprintf("f%02d", i))).ID, nil, content(i+1), Now))
	}
	mkfile(t, a.Replica, Root, "after", 7)
	must(a.Remove(Root, "f99", false))
	pullPages(t, b, a, 6, 10) // all but the last frame, of the removal
	if len(b.Held()) != 1 {
		t.Fatal(b.Held())
	}
	w.release(t, released, a.self, a.Written())
	w.heal()
	w.converged()
	for i := range 60 {
		if e := must(b.Lookup(Root, fmt.Sprintf("f%02d", i))); e.Size() != uint64(i+1) {
			t.Fatalf("%s has not come: %d", e.Name, e.Size())
		}
	}
}

// A stream goes on after what is held back, with what is newer: that must not be claimed either, or
// what lies before would never come.
func TestBrakeAmidAStream(t *testing.T) {
	w, released := braked(t)
	a, b := w.devices[0], w.devices[1]
	stream := begin(t, b, a)
	for i := range 60 {
		must(a.Remove(Root, fmt.Sprintf("f%02d", i), false))
	}
	for i := range 3 {
		stream.bring()
		mkfile(t, a.Replica, Root, fmt.Sprint("after", i), i+1)
	}
	stream.bring()
	if h := b.Held(); len(h) != 1 || b.Claims().Upto(a.self) >= h[0].From {
		t.Fatalf("claims %v, holds %v back", b.Claims(), h)
	}
	w.release(t, released, a.self, b.Held()[0].Upto)
	w.converged()
	if n := b.Stat().Files; n != 43 {
		t.Errorf("%d files, want 43", n)
	}
}
