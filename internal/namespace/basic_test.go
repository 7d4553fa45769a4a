package namespace

import (
	"github.com/shelffs/shelf/internal/ident"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

func TestCreateLookupRemove(t *testing.T) {
	w := newWorld(t, 1, 1)
	r := w.devices[0].Replica
	d := mkdir(t, r, Root, "docs")
	f := mkfile(t, r, d.ID, "a.txt", 5)
	got, err := r.Lookup(d.ID, "a.txt")
	if err != nil || got.ID != f.ID || got.Size() != 5 || got.Kind != File || got.Mode != 0o644 || got.Nlink != 1 || got.Parent != d.ID {
		t.Fatalf("lookup: %+v, %v", got, err)
	}
	if p := must(r.Path(f.ID)); p != "docs/a.txt" {
		t.Errorf("path %q", p)
	}
	if e := must(r.Resolve("/docs//./a.txt")); e.ID != f.ID {
		t.Errorf("resolve: %+v", e)
	}
	if s := r.Stat(); s != (Totals{Files: 1, Dirs: 1, Bytes: 5}) {
		t.Errorf("totals %+v", s)
	}
	_, err = r.Create(d.ID, "a.txt", Spec{Kind: File})
	wantKind(t, err, errs.Exist)
	_, err = r.Lookup(d.ID, "b")
	wantKind(t, err, errs.NotExist)
	_, err = r.Lookup(f.ID, "b")
	wantKind(t, err, errs.NotDir)
	_, err = r.Remove(Root, "docs", true)
	wantKind(t, err, errs.NotEmpty)
	_, err = r.Remove(Root, "docs", false)
	wantKind(t, err, errs.IsDir)
	_, err = r.Remove(d.ID, "a.txt", true)
	wantKind(t, err, errs.NotDir)
	for _, bad := range []string{"", ".", "..", "a/b", "a\x00"} {
		_, err = r.Create(Root, bad, Spec{Kind: File})
		wantKind(t, err, errs.Invalid)
	}
	own, err := r.Create(Root, "own id", Spec{ID: NodeID{1, 15: 2}, Kind: File})
	if err != nil || own.ID != (NodeID{1, 15: 2}) {
		t.Errorf("%+v, %v", own, err)
	}
	_, err = r.Create(Root, "a file with a directory's id", Spec{ID: NodeID{2, 15: 1}, Kind: File})
	wantKind(t, err, errs.Invalid)
	_, err = r.Remove(Root, "own id", false)
	if err != nil {
		t.Error(err)
	}
	_, err = r.Create(Root, "used", Spec{ID: own.ID, Kind: File})
	wantKind(t, err, errs.Invalid)
	e, err := r.Commit(f.ID, f.Versions, content(9), 123)
	if err != nil || e.Size() != 9 || e.Mtime != 123 {
		t.Fatalf("commit: %+v, %v", e, err)
	}
	must(r.Remove(d.ID, "a.txt", false))
	must(r.Remove(Root, "docs", true))
	wantNames(t, r, Root)
	if s := r.Stat(); s != (Totals{}) {
		t.Errorf("totals %+v", s)
	}
	_, err = r.Get(f.ID)
	wantKind(t, err, errs.Stale)
	_, err = r.Create(d.ID, "x", Spec{Kind: File})
	wantKind(t, err, errs.NotExist)
}

func TestTwoDevices(t *testing.T) {
	w := newWorld(t, 1, 2)
	a, b := w.devices[0], w.devices[1]
	d := mkdir(t, a.Replica, Root, "docs")
	f := mkfile(t, a.Replica, d.ID, "a.txt", 5)
	if n := pull(t, b, a, -1); n != 4 {
		t.Errorf("%d records, want 4", n)
	}
	if n := pull(t, b, a, -1); n != 0 {
		t.Errorf("%d records again", n)
	}
	if e := must(b.Resolve("docs/a.txt")); e.ID != f.ID || e.Size() != 5 || e.Writer != a.id() {
		t.Errorf("%+v", e)
	}
	ha, hb := a.Hello(ident.DeviceID{}), b.Hello(ident.DeviceID{})
	if ha.Fingerprint != hb.Fingerprint || !ha.Settled || !hb.Settled {
		t.Errorf("hello: %+v\n%+v", ha, hb)
	}
	// concurrent edits leave both
	must(a.Commit(f.ID, f.Versions, content(6), Now))
	must(b.Commit(f.ID, f.Versions, content(7), Now))
	w.heal()
	la, lb := listing(t, a.Replica, d.ID), listing(t, b.Replica, d.ID)
	if len(la) != 2 || len(lb) != 2 || la[0] != lb[0] || la[1] != lb[1] || !isCopy(la[0]) {
		t.Fatalf("%q\n%q", la, lb)
	}
	c := must(a.Lookup(d.ID, la[0]))
	if c.Conflict == nil || c.Conflict.Of != f.ID {
		t.Errorf("conflict %+v", c)
	}
	// edit of the copy
	e := must(a.Commit(c.ID, nil, content(8), Now))
	if e.ID != c.ID || e.Name != la[0] || e.Conflict != nil {
		t.Errorf("%+v", e)
	}
	w.heal()
	if x := must(b.Lookup(d.ID, la[0])); x.Size() != 8 || x.ID != c.ID {
		t.Errorf("%+v", x)
	}
}
