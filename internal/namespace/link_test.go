package namespace

import (
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

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

// A file that is shown through a twin has another name of its own: editing the twin must not
// take the bytes from under it.
func TestTwinWithALink(t *testing.T) {
	w, a, b := two(t)
	mkfile(t, a.Replica, Root, "f", 1)
	w.now = w.now.Add(1e9)
	f := mkfile(t, b.Replica, Root, "f", 1)
	must(b.Link(f.ID, Root, "l"))
	w.agree(t, Root, "f", "l")
	must(a.Commit(must(a.Lookup(Root, "f")).ID, nil, content(2), 0))
	w.agree(t, Root, "f", "l")
	if e := must(b.Lookup(Root, "l")); e.ID != f.ID || e.Content != content(1) || e.Nlink != 1 {
		t.Errorf("%+v", e)
	}
	if e := must(b.Lookup(Root, "f")); e.Content != content(2) {
		t.Errorf("%+v", e)
	}
}
