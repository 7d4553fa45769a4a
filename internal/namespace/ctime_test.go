package namespace

import "testing"

// What moves a file's ctime alone takes back no times that are set elsewhere meanwhile.
func TestCtimeMovesAlone(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 1)
	w.heal()
	for i, change := range []func() error{
		func() error { return a.SetXattr(f.ID, "user.a", []byte("1"), XattrAny) },
		func() error { return a.RemoveXattr(f.ID, "user.a") },
		func() error { _, err := a.Link(f.ID, Root, "l"); return err },
		func() error { _, err := a.Remove(Root, "l", false); return err },
	} {
		before, set := must(a.Get(f.ID)), int64(77+i)
		w.now = w.now.Add(1e9)
		must(b.SetAttr(f.ID, AttrChange{Mtime: &set, Atime: &set}))
		w.now = w.now.Add(1e9) // a's is the newer record
		must(0, change())
		if e := must(a.Get(f.ID)); e.Ctime <= before.Ctime || e.Mtime != before.Mtime || e.Atime != before.Atime {
			t.Errorf("%d: %+v, before %+v", i, e, before)
		}
		w.heal()
		ea, eb := must(a.Get(f.ID)), must(b.Get(f.ID))
		if ea.Mtime != set || ea.Atime != set || eb.Mtime != set || ea.Ctime != eb.Ctime || ea.Ctime < w.now.UnixNano() {
			t.Errorf("%d: %+v here, %+v there", i, ea, eb)
		}
	}
	must(0, a.read(func(x *tx) error {
		if n := len(x.node(f.ID).Times); n != 2 {
			t.Errorf("%d records of times", n)
		}
		return nil
	}))
}
