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

// Each finds what as many scans find.
func TestEach(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		rng := rand.New(rand.NewPCG(3, 4))
		for range 20 {
			b := db.Batch()
			for range 60 {
				_ = b.Mark(db.Key('t', U32(uint32(rng.IntN(100))), U32(uint32(rng.IntN(4)))))
				_ = b.Delete(db.Key('t', U32(uint32(rng.IntN(100))), U32(uint32(rng.IntN(4)))))
			}
			_ = b.Mark(db.Key('u'))
			if err := b.Commit(NoSync); err != nil {
				t.Fatal(err)
			}
			snap, err := db.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			b = db.Batch()
			_ = b.Mark(db.Key('t', U32(7), U32(9)))
			for _, r := range []Reader{db, snap, b} {
				var prefixes []Key
				for i := range 100 {
					if rng.IntN(3) > 0 {
						prefixes = append(prefixes, db.Key('t', U32(uint32(i))))
					}
				}
				most := 1 + rng.IntN(4) // of each
				var want, got []string
				for i, p := range prefixes {
					n := 0
					if err := r.ScanKeys(p, func(k Key) bool {
						want = append(want, fmt.Sprintf("%d %x", i, k))
						n++
						return n < most
					}); err != nil {
						t.Fatal(err)
					}
				}
				n, of := 0, -1
				if err := r.Each(prefixes, func(i int, k Key) bool {
					if i != of {
						n, of = 0, i
					}
					got = append(got, fmt.Sprintf("%d %x", i, k))
					n++
					return n < most
				}); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%T: %v, want %v", r, got, want)
				}
			}
			b.Close()
			_ = snap.Close()
		}
	})
}

func TestEachRefuses(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		a, ab, b := Key("ta"), Key("tab"), Key("tb")
		for _, bad := range [][]Key{{b, a}, {a, ab}, {a, a}, {{tableOwn}}, {nil}} {
			if err := db.Each(bad, func(int, Key) bool { return true }); !errs.Is(err, errs.Invalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := db.Each(nil, nil); err != nil {
			t.Error(err)
		}
	})
}
