package namespace

import (
	"slices"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

// Scripted cases: what a person would see, and what went wrong on the way to the rules.

func two(t *testing.T) (w *world, a, b *device) {
	w = newWorld(t, 1, 2)
	return w, w.devices[0], w.devices[1]
}

// agree checks both views against the pure one and each other.
func (w *world) agree(t *testing.T, dir NodeID, want ...string) {
	t.Helper()
	w.heal()
	for _, d := range w.devices {
		checkView(t, d.Replica)
		wantNames(t, d.Replica, dir, want...)
	}
}

func TestDirectoriesOfOneNameMerge(t *testing.T) {
	w, a, b := two(t)
	da, db := mkdir(t, a.Replica, Root, "photos"), mkdir(t, b.Replica, Root, "photos")
	mkfile(t, a.Replica, da.ID, "1.jpg", 1)
	mkfile(t, a.Replica, da.ID, "same", 9)
	mkfile(t, b.Replica, db.ID, "2.jpg", 2)
	mkfile(t, b.Replica, db.ID, "same", 9) // equal bytes: one file
	w.agree(t, Root, "photos/")
	merged := must(a.Resolve("photos"))
	w.agree(t, merged.ID, "1.jpg", "2.jpg", "same")
	w.agree(t, da.ID, "1.jpg", "2.jpg", "same") // each member's id leads there
	w.agree(t, db.ID, "1.jpg", "2.jpg", "same")
	// operations act on all members
	must2(a.Rename(Root, "photos", Root, "pictures", 0))
	mkfile(t, b.Replica, db.ID, "3.jpg", 3) // concurrently
	w.agree(t, Root, "pictures/")
	w.agree(t, merged.ID, "1.jpg", "2.jpg", "3.jpg", "same")
	for _, n := range listing(t, a.Replica, merged.ID) {
		must(a.Remove(merged.ID, n, false))
	}
	must(a.Remove(Root, "pictures", true))
	w.agree(t, Root)
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func TestCycleIsCut(t *testing.T) {
	w, a, b := two(t)
	x, y := mkdir(t, a.Replica, Root, "x"), mkdir(t, a.Replica, Root, "y")
	mkfile(t, a.Replica, x.ID, "fx", 1)
	mkfile(t, a.Replica, y.ID, "fy", 2)
	w.heal()
	must2(a.Rename(Root, "x", y.ID, "x", 0))
	must2(b.Rename(Root, "y", x.ID, "y", 0))
	w.heal()
	for _, d := range w.devices {
		v := checkView(t, d.Replica)
		if len(d.state.cuts) != 1 {
			t.Errorf("%d cuts", len(d.state.cuts))
		}
		for _, id := range []NodeID{x.ID, y.ID} {
			if _, ok := v.ids[id]; !ok {
				t.Errorf("%v is shown nowhere", id)
			}
		}
	}
	if must(a.Path(x.ID)) != must(b.Path(x.ID)) {
		t.Error("cut differently")
	}
	mkdir(t, a.Replica, Root, "z")
	must2(a.Rename(Root, "z", y.ID, "z", 0)) // pins the cut
	w.heal()
	for _, d := range w.devices {
		checkView(t, d.Replica)
		if len(d.state.cuts) != 0 {
			t.Errorf("%d cuts left", len(d.state.cuts))
		}
	}
}

func TestRemovedDirectoryComesBackForItsContents(t *testing.T) {
	w, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "d")
	must(a.SetAttr(d.ID, AttrChange{Mode: ptr(uint32(0o700))}))
	w.heal()
	must(a.Remove(Root, "d", true))
	f := mkfile(t, b.Replica, d.ID, "f", 1)
	w.agree(t, Root, "d/")
	if a.state.zombies != 1 {
		t.Errorf("%d removed directories are shown", a.state.zombies)
	}
	if e := must(a.Get(d.ID)); e.Mode != 0o700 {
		t.Errorf("mode %o", e.Mode)
	}
	must(a.Remove(d.ID, "f", false)) // using it revives it
	w.agree(t, Root, "d/")
	if a.state.zombies != 0 {
		t.Error("not revived")
	}
	_, err := b.Get(f.ID)
	wantKind(t, err, errs.Stale)
}

func ptr[T any](v T) *T { return &v }

func TestRenameSurvivesRemoval(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 1)
	w.heal()
	must(a.Remove(Root, "f", false))
	must2(b.Rename(Root, "f", Root, "g", 0))
	w.agree(t, Root, "g")
	if e := must(a.Lookup(Root, "g")); e.ID != f.ID {
		t.Error("another file")
	}
}

func TestEqualBytesNeverConflict(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 1)
	w.heal()
	must(a.Commit(f.ID, f.Versions, content(2), Now))
	must(b.Commit(f.ID, f.Versions, content(2), Now))
	mkfile(t, a.Replica, Root, "g", 3)
	mkfile(t, b.Replica, Root, "g", 3)
	w.agree(t, Root, "f", "g")
}

func TestConflictCopy(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "report.txt", 1)
	w.heal()
	must(a.Commit(f.ID, f.Versions, content(2), Now))
	w.now = w.now.Add(1e9)
	must(b.Commit(f.ID, f.Versions, content(3), Now))
	const name = "report (conflict from dev0 2023-11-14).txt"
	w.agree(t, Root, "report.txt", name)
	for _, d := range w.devices {
		e, c := must(d.Lookup(Root, "report.txt")), must(d.Lookup(Root, name))
		if e.Content != content(3) || e.Writer != b.id() || e.Conflict != nil {
			t.Errorf("winner %+v", e)
		}
		if c.Content != content(2) || c.Conflict == nil || c.Conflict.Of != f.ID || c.Conflict.Device != a.id() {
			t.Errorf("copy %+v", c)
		}
		if must(d.Path(c.ID)) != name || must(d.Get(c.ID)).Name != name {
			t.Error("the copy cannot be reached by id")
		}
	}
	c := must(a.Lookup(Root, name))
	must(a.Remove(Root, name, false)) // discard it here
	w.agree(t, Root, "report.txt")
	_, err := b.Get(c.ID)
	wantKind(t, err, errs.Stale)
}

// Resolving by hand: the copy moved over the file.
func TestCopyOverItsFile(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 1)
	w.heal()
	must(a.Commit(f.ID, f.Versions, content(2), Now))
	w.now = w.now.Add(1e9)
	must(b.Commit(f.ID, f.Versions, content(3), Now))
	w.heal()
	names := listing(t, a.Replica, Root)
	must2(a.Rename(Root, names[1], Root, "f", 0))
	w.agree(t, Root, "f")
	if e := must(b.Lookup(Root, "f")); e.Content != content(2) {
		t.Errorf("%+v", e)
	}
}

func TestFilesOfOneName(t *testing.T) {
	w, a, b := two(t)
	mkfile(t, a.Replica, Root, "x.tar.gz", 1)
	mkfile(t, b.Replica, Root, "x.tar.gz", 2)
	long := strings.Repeat("ü", 125) + ".md"
	mkfile(t, a.Replica, Root, long, 3)
	mkfile(t, b.Replica, Root, long, 4)
	w.heal()
	for _, d := range w.devices {
		checkView(t, d.Replica)
		names := listing(t, d.Replica, Root)
		if len(names) != 4 {
			t.Fatalf("%q", names)
		}
		for _, n := range names {
			if len(n) > MaxName || !validName(n) {
				t.Errorf("bad name %q", n)
			}
			if e, err := d.Lookup(Root, n); err != nil || isCopy(n) != (e.Conflict != nil) {
				t.Errorf("%q: %+v, %v", n, e, err)
			}
		}
	}
	if x, y := listing(t, a.Replica, Root), listing(t, b.Replica, Root); !slices.Equal(x, y) {
		t.Errorf("%q\n%q", x, y)
	}
	for _, n := range listing(t, a.Replica, Root) { // rm -rf by one readdir
		must(a.Remove(Root, n, false))
	}
	w.agree(t, Root)
}
