package namespace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

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
	must(r.Commit(f.ID, nil, content(2), Now))
	want("edit", 1)
	must(r.SetAttr(f.ID, AttrChange{Mtime: ptr(int64(5))}))
	want("touch", 1)
	must2(r.Rename(Root, "f", Root, "g", 0))
	want("rename", 2)
	must(r.Remove(Root, "g", false))
	want("delete", 1)
}
