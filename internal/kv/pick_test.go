package kv

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

// Pick finds what as many Gets find, in the present state, a snapshot and a batch.
func TestPick(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		rng := rand.New(rand.NewPCG(1, 2))
		key := func() Key { return db.Key('t', U32(uint32(rng.IntN(400)))) }
		fill := func(b *Batch) {
			for range 100 {
				_ = b.Set(key(), fmt.Append(nil, rng.Int()))
				_ = b.Delete(key())
			}
		}
		for range 20 {
			b := db.Batch()
			fill(b)
			if err := b.Commit(NoSync); err != nil {
				t.Fatal(err)
			}
			snap, err := db.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			b = db.Batch()
			fill(b)
			for _, r := range []Reader{db, snap, b} {
				var keys []Key
				for range 1 + rng.IntN(60) {
					keys = append(keys, key())
				}
				slices.SortFunc(keys, func(a, b Key) int { return bytes.Compare(a, b) })
				want, got := map[int]string{}, map[int]string{}
				for i, k := range keys {
					if v, err := r.Get(k); err == nil {
						want[i] = string(v)
					}
				}
				if err := r.Pick(keys, func(i int, v []byte) bool { got[i] = string(v); return true }); err != nil {
					t.Fatal(err)
				}
				if !maps.Equal(got, want) {
					t.Fatalf("%T: picked %v, want %v", r, got, want)
				}
			}
			b.Close()
			_ = snap.Close()
		}
	})
}

func TestPickRefuses(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		one, two, three := db.Key('t', U64(1)), db.Key('t', U64(2)), db.Key('t', U64(3))
		set(t, db, one, "1")
		set(t, db, three, "3")
		b := db.Batch()
		_ = b.Mark(two)
		if err := b.Commit(NoSync); err != nil {
			t.Fatal(err)
		}
		none := func(int, []byte) bool { t.Error("called"); return true }
		if err := db.Pick(nil, none); err != nil {
			t.Error(err)
		}
		if err := db.Pick([]Key{two, one}, none); !errs.Is(err, errs.Invalid) {
			t.Errorf("keys out of order: %v", err)
		}
		n := 0
		if err := db.Pick([]Key{one, two, three}, func(int, []byte) bool { n++; return true }); !errs.Is(err, errs.Corrupt) || n != 1 {
			t.Errorf("%d rows before one without a seal, %v", n, err)
		}
		n = 0
		if err := db.Pick([]Key{one, one, three}, func(int, []byte) bool { n++; return n < 2 }); err != nil || n != 2 {
			t.Errorf("%d rows, %v", n, err)
		}
		_ = db.Close()
		if err := db.Pick([]Key{one}, none); !errs.Is(err, errs.Closed) {
			t.Errorf("closed: %v", err)
		}
	})
}
