package namespace

import (
	"slices"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

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
