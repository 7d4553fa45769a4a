package namespace

import (
	"fmt"
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
	must(a.Commit(f.ID, f.Versions, content(2), 0))
	must(b.Commit(f.ID, f.Versions, content(2), 0))
	mkfile(t, a.Replica, Root, "g", 3)
	mkfile(t, b.Replica, Root, "g", 3)
	w.agree(t, Root, "f", "g")
}

func TestConflictCopy(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "report.txt", 1)
	w.heal()
	must(a.Commit(f.ID, f.Versions, content(2), 0))
	w.now = w.now.Add(1e9)
	must(b.Commit(f.ID, f.Versions, content(3), 0))
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
	must(a.Commit(f.ID, f.Versions, content(2), 0))
	w.now = w.now.Add(1e9)
	must(b.Commit(f.ID, f.Versions, content(3), 0))
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

func TestHardLinks(t *testing.T) {
	w, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "d")
	f := mkfile(t, a.Replica, Root, "f", 5)
	l := must(a.Link(f.ID, d.ID, "l"))
	if l.ID != f.ID || l.Nlink != 2 || l.Name != "l" || l.Parent != d.ID || l.Size() != 5 {
		t.Fatalf("%+v", l)
	}
	if s := a.Stat(); s != (Totals{Files: 1, Dirs: 1, Bytes: 5}) {
		t.Errorf("totals %+v", s)
	}
	_, err := a.Link(d.ID, Root, "x")
	wantKind(t, err, errs.Forbidden)
	w.heal()
	must(b.Commit(must(b.Resolve("d/l")).ID, nil, content(6), 0)) // through the link
	w.heal()
	for _, p := range []string{"f", "d/l"} {
		if e := must(a.Resolve(p)); e.Size() != 6 || e.Nlink != 2 || e.ID != f.ID {
			t.Errorf("%s: %+v", p, e)
		}
	}
	// rename over another name of the same file does nothing
	must2(a.Rename(Root, "f", d.ID, "l", 0))
	w.agree(t, Root, "d/", "f")
	// the first name goes, the link takes its place
	if e := must(a.Remove(Root, "f", false)); e.Nlink != 1 {
		t.Errorf("%+v", e)
	}
	w.agree(t, Root, "d/")
	w.agree(t, d.ID, "l")
	if e := must(b.Resolve("d/l")); e.ID != f.ID || e.Nlink != 1 || must(b.Path(f.ID)) != "d/l" {
		t.Errorf("%+v", e)
	}
	if e := must(b.Remove(d.ID, "l", false)); e.Nlink != 0 {
		t.Errorf("%+v", e)
	}
	w.agree(t, d.ID)
	if s := a.Stat(); s != (Totals{Dirs: 1}) {
		t.Errorf("totals %+v", s)
	}
}

func TestLinkAgainstRemoval(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 5)
	w.heal()
	must(a.Remove(Root, "f", false))
	must(b.Link(f.ID, Root, "l"))
	w.agree(t, Root, "f", "l") // b's link had not seen the removal: the bytes stay
	if e := must(a.Lookup(Root, "l")); e.ID != f.ID || e.Content != content(5) || e.Nlink != 2 {
		t.Errorf("%+v", e)
	}
	// both first names removed on two devices at once: one name is left at most
	must(a.Link(f.ID, Root, "m"))
	w.heal()
	must(a.Remove(Root, "f", false))
	must(b.Remove(Root, "f", false))
	w.heal()
	if e, err := a.Get(f.ID); err != nil || e.Content != content(5) {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestRename(t *testing.T) {
	w, a, _ := two(t)
	r := a.Replica
	d, e := mkdir(t, r, Root, "d"), mkdir(t, r, Root, "e")
	f, g := mkfile(t, r, d.ID, "f", 1), mkfile(t, r, Root, "g", 2)
	check := func(k errs.Kind, _ Entry, _ *Entry, err error) {
		t.Helper()
		wantKind(t, err, k)
	}
	m, o, err := r.Rename(Root, "g", d.ID, "f", RenameNoReplace)
	check(errs.Exist, m, o, err)
	m, o, err = r.Rename(Root, "d", d.ID, "x", 0)
	check(errs.Loop, m, o, err)
	m, o, err = r.Rename(Root, "nothing", Root, "x", 0)
	check(errs.NotExist, m, o, err)
	m, o, err = r.Rename(Root, "g", Root, "x", RenameExchange)
	check(errs.NotExist, m, o, err)
	m, o, err = r.Rename(Root, "g", Root, "d", 0)
	check(errs.IsDir, m, o, err)
	m, o, err = r.Rename(Root, "d", Root, "g", 0)
	check(errs.NotDir, m, o, err)
	m, o, err = r.Rename(Root, "e", Root, "d", 0)
	check(errs.NotEmpty, m, o, err)
	m, o, err = r.Rename(Root, "g", Root, strings.Repeat("x", 256), 0)
	check(errs.NameTooLong, m, o, err)
	m, o, err = r.Rename(Root, "g", d.ID, "f", 0)
	if err != nil || m.ID != g.ID || o == nil || o.ID != f.ID || o.Nlink != 0 {
		t.Fatalf("%+v, %+v, %v", m, o, err)
	}
	if m, o, err = r.Rename(Root, "d", Root, "e", 0); err != nil || m.ID != d.ID || o.ID != e.ID {
		t.Fatalf("%+v, %+v, %v", m, o, err)
	}
	h := mkfile(t, r, Root, "h", 3)
	if m, o, err = r.Rename(Root, "h", d.ID, "f", RenameExchange); err != nil || m.ID != h.ID || o.ID != g.ID {
		t.Fatalf("%+v, %+v, %v", m, o, err)
	}
	k := mkdir(t, r, d.ID, "k")
	if m, o, err = r.Rename(Root, "h", d.ID, "k", RenameExchange); err != nil || m.ID != g.ID || o.ID != k.ID {
		t.Fatalf("%+v, %+v, %v", m, o, err)
	}
	w.agree(t, Root, "e/", "h/")
	w.agree(t, d.ID, "f", "k")
}

// A directory's rename touches the rows of one name, however much lies in it.
func TestDirectoryRenameIsCheap(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	d := mkdir(t, r, Root, "d")
	for i := range 200 {
		mkfile(t, r, d.ID, fmt.Sprint(i), i)
	}
	before := r.Written()
	must2(r.Rename(Root, "d", Root, "e", 0))
	if n := r.Written() - before; n != 2 {
		t.Errorf("%d records", n)
	}
}

func TestNumberOfRecords(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	at := uint64(0)
	want := func(what string, n uint64) {
		t.Helper()
		if got := r.Written() - at; got != n {
			t.Errorf("%s: %d records, want %d", what, got, n)
		}
		at = r.Written()
	}
	f := mkfile(t, r, Root, "f", 1)
	want("create", 2)
	mkdir(t, r, Root, "d")
	want("mkdir", 2)
	must(r.Commit(f.ID, nil, content(2), 0))
	want("edit", 1)
	must(r.SetAttr(f.ID, AttrChange{Mtime: ptr(int64(5))}))
	want("touch", 1)
	must2(r.Rename(Root, "f", Root, "g", 0))
	want("rename", 2)
	must(r.Remove(Root, "g", false))
	want("delete", 1)
}

func TestAttributes(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 1)
	w.heal()
	must(a.SetAttr(f.ID, AttrChange{Mode: ptr(uint32(0o600)), Mtime: ptr(int64(77)), Atime: ptr(int64(78))}))
	must(b.SetAttr(f.ID, AttrChange{UID: ptr(uint32(5))}))
	must(b.SetAttr(f.ID, AttrChange{GID: ptr(uint32(6))}))
	w.heal()
	for _, d := range w.devices { // mode, owner and times are registers of their own
		e := must(d.Get(f.ID))
		if e.Mode != 0o600 || e.UID != 5 || e.GID != 6 || e.Mtime != 77 || e.Atime != 78 {
			t.Errorf("%+v", e)
		}
	}
	e := must(a.Commit(f.ID, nil, content(2), 99)) // new bytes have a time of their own, modes stay
	if e.Mtime != 99 || e.Mode != 0o600 || e.UID != 5 {
		t.Errorf("%+v", e)
	}
	root := must(a.SetAttr(Root, AttrChange{Mode: ptr(uint32(0o700)), UID: ptr(uint32(1000))}))
	w.heal()
	if got := must(b.Get(Root)); root.Mode != 0o700 || got.Mode != 0o700 || got.UID != 1000 {
		t.Errorf("%+v %+v", root, got)
	}
	d := mkdir(t, a.Replica, Root, "d")
	if e := must(a.SetAttr(d.ID, AttrChange{Mtime: ptr(int64(123))})); e.Mtime != 123 {
		t.Errorf("%+v", e)
	}
	w.now = w.now.Add(1e9)
	mkfile(t, a.Replica, d.ID, "x", 1)
	if e := must(a.Get(d.ID)); e.Mtime != w.now.UnixNano() {
		t.Errorf("a new entry does not change the directory's time: %+v", e)
	}
	_, err := a.SetAttr(NodeID{0: 99}, AttrChange{Mode: ptr(uint32(0))})
	wantKind(t, err, errs.Stale)
}

func TestXattrs(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 1)
	must(0, a.SetXattr(f.ID, "user.b", []byte("1"), XattrCreate))
	must(0, a.SetXattr(f.ID, "user.a", nil, XattrAny))
	w.heal()
	wantKind(t, b.SetXattr(f.ID, "user.b", nil, XattrCreate), errs.Exist)
	wantKind(t, b.SetXattr(f.ID, "user.c", nil, XattrReplace), errs.NoAttr)
	must(0, b.SetXattr(f.ID, "user.c", []byte("2"), XattrAny))
	must(0, a.RemoveXattr(f.ID, "user.b"))
	w.heal()
	for _, d := range w.devices {
		if names := must(d.ListXattr(f.ID)); !slices.Equal(names, []string{"user.a", "user.c"}) {
			t.Errorf("%q", names)
		}
		if v := must(d.GetXattr(f.ID, "user.c")); string(v) != "2" {
			t.Errorf("%q", v)
		}
		_, err := d.GetXattr(f.ID, "user.b")
		wantKind(t, err, errs.NoAttr)
	}
	wantKind(t, a.RemoveXattr(f.ID, "user.b"), errs.NoAttr)
	wantKind(t, a.SetXattr(f.ID, "user.big", make([]byte, MaxXattr), XattrAny), errs.NoSpace)
	must(0, a.SetXattr(f.ID, "user.big", make([]byte, MaxXattr-100), XattrAny))
	wantKind(t, a.SetXattr(f.ID, "user.more", make([]byte, 100), XattrAny), errs.NoSpace)
	wantKind(t, a.SetXattr(f.ID, strings.Repeat("x", 256), nil, XattrAny), errs.Range)
	w.agree(t, Root, "f")
}

func TestPlacement(t *testing.T) {
	w, a, b := two(t)
	d := mkdir(t, a.Replica, Root, "d")
	e := mkdir(t, a.Replica, d.ID, "e")
	f := mkfile(t, a.Replica, e.ID, "f", 1)
	want := func(id NodeID, eff, own Placement) {
		t.Helper()
		w.heal()
		for _, r := range w.devices {
			if x, y := must2(r.Placement(id, b.id())); x != eff || y != own {
				t.Errorf("%d, %d, want %d, %d", x, y, eff, own)
			}
		}
	}
	want(f.ID, Automatic, Inherited)
	must(0, a.SetPlacement(d.ID, b.id(), Pinned))
	want(f.ID, Pinned, Inherited)
	must(0, b.SetPlacement(e.ID, b.id(), Cloud))
	want(f.ID, Cloud, Inherited)
	must(0, a.SetPlacement(f.ID, b.id(), Pinned))
	want(f.ID, Pinned, Pinned)
	if x, _ := must2(a.Placement(f.ID, a.id())); x != Automatic {
		t.Error("another device's placement counts")
	}
	// an editor saves by rename: the pin stays
	mkfile(t, a.Replica, e.ID, "f~", 2)
	m, _ := must2(a.Rename(e.ID, "f~", e.ID, "f", 0))
	want(m.ID, Pinned, Pinned)
	must(0, a.SetPlacement(m.ID, b.id(), Inherited))
	want(m.ID, Cloud, Inherited)
	must(0, a.SetPlacement(e.ID, b.id(), Automatic))
	want(m.ID, Automatic, Inherited)
	_, _, err := a.Placement(f.ID, b.id())
	wantKind(t, err, errs.Stale)
}

// Specials keep their kind and targets.
func TestKinds(t *testing.T) {
	w, a, b := two(t)
	for kind, s := range map[string]Spec{
		"link": {Kind: Symlink, Target: "../some/where", Mode: 0o777}, "fifo": {Kind: Fifo}, "sock": {Kind: Socket},
		"char": {Kind: CharDev, Rdev: 259}, "block": {Kind: BlockDev, Rdev: 7},
	} {
		must(a.Create(Root, kind, s))
	}
	w.heal()
	if e := must(b.Lookup(Root, "link")); e.Kind != Symlink || e.Target != "../some/where" || e.Size() != 13 {
		t.Errorf("%+v", e)
	}
	if e := must(b.Lookup(Root, "char")); e.Kind != CharDev || e.Rdev != 259 {
		t.Errorf("%+v", e)
	}
	w.agree(t, Root, "link", "fifo", "sock", "char", "block")
	for _, s := range []Spec{{Kind: Symlink}, {Kind: File, Target: "x"}, {Kind: 99}, {Kind: 8}, {Kind: File, Mode: 1 << 15}} {
		_, err := a.Create(Root, "bad", s)
		wantKind(t, err, errs.Invalid)
	}
}
