package namespace

import (
	"errors"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// checkView compares the incremental view with the pure one.
func checkView(t testing.TB, r *Replica) tree {
	t.Helper()
	v, err := r.check()
	if err != nil {
		t.Fatal(err)
	}
	for id, e := range v.ids {
		if again, err := r.Resolve(must(r.Path(id))); err != nil || again.ID != id {
			t.Fatalf("path of %q: %v", e.Name, err)
		}
	}
	checkClashes(t, r, v)
	return v
}

// Whatever row is taken away, Check says so, and so it does for a row too many.
func TestCheckMissesNoRow(t *testing.T) {
	w, a, b := two(t)
	f := mkfile(t, a.Replica, Root, "f", 1)
	d := mkdir(t, a.Replica, Root, "d")
	must(a.Link(f.ID, d.ID, "link"))
	must(0, errors.Join(a.SetXattr(f.ID, "user.x", []byte("1"), XattrAny), a.SetPlacement(f.ID, a.id(), Pinned)))
	mkdir(t, b.Replica, Root, "d")
	w.heal()
	must(a.Commit(f.ID, f.Versions, content(2), Now))
	must(b.Commit(f.ID, f.Versions, content(3), Now))
	w.heal()
	v := checkView(t, a.Replica)
	if s := v.shape; s.Merged != 1 || s.Copies != 1 || s.Links != 1 {
		t.Errorf("shape %+v", s)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, table := range []byte{tableNode, tableXattr, tablePolicy, tableName, tableSeveral, tableDir, tableOrigin, tableLinks, tableDots} {
		var keys []kv.Key
		must(0, a.db.ScanKeys(a.db.Key(table), func(k kv.Key) bool { keys = append(keys, k.Clone()); return true }))
		if len(keys) == 0 {
			t.Errorf("no rows in table %q", table)
		}
		for _, k := range keys {
			row, err := a.db.Get(k)
			if mark := errs.Is(err, errs.Corrupt); !mark {
				row = append([]byte{}, must(row, err)...) // not nil: some rows are empty
			}
			change := func(fn func(*kv.Batch) error) {
				batch := a.db.Batch()
				must(0, fn(batch))
				must(0, batch.Commit(kv.NoSync))
			}
			remove := func(k kv.Key) { change(func(b *kv.Batch) error { return b.Delete(k) }) }
			set := func(k kv.Key) {
				change(func(b *kv.Batch) error {
					if row == nil {
						return b.Mark(k)
					}
					return b.Set(k, row)
				})
			}
			again := func() error {
				r, err := Open(a.Replica.cfg)
				if err != nil {
					return err
				}
				defer r.Close()
				return r.Check()
			}
			remove(k)
			if err := again(); !errs.Is(err, errs.Corrupt) {
				t.Errorf("without row %x: %v", []byte(k), err)
			}
			set(k)
			other := k.Clone()
			other[len(other)-1] ^= 64
			set(other)
			if err := again(); err == nil {
				t.Errorf("with a row %x too many", []byte(other))
			}
			remove(other)
			if err := again(); err != nil {
				t.Fatalf("all as it was: %v", err)
			}
		}
	}
}
