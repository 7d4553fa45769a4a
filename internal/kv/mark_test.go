package kv

import (
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

// A mark is there, has no value, and does not pass for a row with one; nor the other way round.
func TestMark(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		mark, empty := db.Key('t', U64(1)), db.Key('t', U64(2))
		b := db.Batch()
		_ = b.Mark(mark)
		_ = b.Set(empty, nil)
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if ok, err := db.Has(mark); !ok || err != nil {
				t.Errorf("the mark is not there: %v", err)
			}
			if v, err := db.Get(mark); !errs.Is(err, errs.Corrupt) || v != nil {
				t.Errorf("the mark's value: %q, %v", v, err)
			}
			if v, err := db.Get(empty); len(v) != 0 || err != nil {
				t.Errorf("an empty value: %q, %v", v, err)
			}
			keys, values := 0, 0
			if err := db.ScanKeys(db.Key('t'), func(Key) bool { keys++; return true }); keys != 2 || err != nil {
				t.Errorf("%d keys, %v", keys, err)
			}
			if err := db.Scan(db.Key('t'), func(Key, []byte) bool { values++; return true }); values != 1 || !errs.Is(err, errs.Corrupt) {
				t.Errorf("%d values, %v", values, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open()
		}
		b = db.Batch()
		_ = b.Mark(empty)
		_ = b.Delete(mark)
		if err := b.Commit(NoSync); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Get(empty); !errs.Is(err, errs.Corrupt) {
			t.Errorf("a mark in a row's place: %v", err)
		}
		if ok, _ := db.Has(mark); ok {
			t.Error("the mark is still there")
		}
	})
}
