package kv

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/shelffs/shelf/internal/errs"
)

// rawSet writes a row past the seal, as somebody with the disk in his hands could.
func rawSet(t *testing.T, db *DB, k Key, row []byte) {
	t.Helper()
	if err := db.engine.(*disk).p.Set(k, row, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

func rawGet(t *testing.T, db *DB, k Key) []byte {
	t.Helper()
	v, c, err := db.engine.(*disk).p.Get(k)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return bytes.Clone(v)
}

func TestChangedRowsAreCorruptAndAlone(t *testing.T) {
	db := open(t, t.TempDir(), Options{})
	ka, kb, kc := db.Key('t', U64(1)), db.Key('t', U64(2)), db.Key('t', U64(3))
	set(t, db, ka, "a")
	set(t, db, kb, "secret")
	set(t, db, kc, "c")
	good := rawGet(t, db, kb)
	try := func(what string, row []byte) {
		t.Helper()
		rawSet(t, db, kb, row)
		if v, err := db.Get(kb); !errs.Is(err, errs.Corrupt) || v != nil {
			t.Errorf("%s: %q, %v", what, v, err)
		}
		n := 0
		err := db.Scan(db.Key('t'), func(Key, []byte) bool { n++; return true })
		if n != 2 || !errs.Is(err, errs.Corrupt) {
			t.Errorf("%s: scan gave %d rows, %v", what, n, err)
		}
	}
	for bit := range len(good) * 8 {
		row := bytes.Clone(good)
		row[bit/8] ^= 1 << (bit % 8)
		try("flipped bit", row)
	}
	for n := range len(good) {
		try("cut", good[:n])
	}
	try("longer", append(bytes.Clone(good), 0))
	try("another row's value", rawGet(t, db, ka))
	rawSet(t, db, kb, good)
	if v, err := db.Get(kb); string(v) != "secret" {
		t.Error(err)
	}
	if db.Metrics().CorruptRows == 0 {
		t.Error("not counted")
	}
}

// Neither names nor values may be found in the files, in the log or in the tables.
func TestNothingReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, Options{Ballast: -1})
	mark := []byte("canary-0123456789-canary")
	for i := range uint64(50) {
		b := db.Batch()
		_ = b.Set(db.Key('t', Hidden(mark), U64(i)), mark)
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
		if i == 25 {
			if err := db.engine.(*disk).p.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = db.Close()
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) < 4 {
		t.Fatalf("only %v", files)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, mark[:12]) {
			t.Errorf("%s holds the mark", filepath.Base(f))
		}
	}
}

func TestHiddenPartsAreSeparated(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		tail := func(k Key) string { return string(k[len(k)-HiddenLen:]) }
		seen := map[string]string{}
		for name, k := range map[string]Key{
			"table t":      db.Key('t', HiddenString("x")),
			"table u":      db.Key('u', HiddenString("x")),
			"under a":      db.Key('t', Plain([]byte("a")), HiddenString("x")),
			"under b":      db.Key('t', Plain([]byte("b")), HiddenString("x")),
			"other":        db.Key('t', HiddenString("y")),
			"empty":        db.Key('t', HiddenString("")),
			"moved border": db.Key('t', HiddenString("ax")),
		} {
			if other, ok := seen[tail(k)]; ok {
				t.Errorf("%s and %s look alike", name, other)
			}
			seen[tail(k)] = name
		}
		long := bytes.Repeat([]byte("n"), 1000)
		if !bytes.Equal(db.Key('t', Hidden(long)), db.Key('t', HiddenString(string(long)))) {
			t.Error("Hidden and HiddenString differ for long parts")
		}
	})
}

func TestRefusedChangesRefuseTheBatch(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		for name, change := range map[string]func(*Batch) error{
			"own table":     func(b *Batch) error { return b.Set(Key{0, 1}, nil) },
			"empty key":     func(b *Batch) error { return b.Delete(nil) },
			"table 255":     func(b *Batch) error { return b.DeletePrefix(Key{0xff}) },
			"long key":      func(b *Batch) error { return b.Set(make(Key, 5000), nil) },
			"large value":   func(b *Batch) error { return b.Set(db.Key('t'), make([]byte, maxValue+1)) },
			"empty prefix":  func(b *Batch) error { return b.DeletePrefix(Key{}) },
			"own as prefix": func(b *Batch) error { return b.DeletePrefix(Key{0}) },
		} {
			b := db.Batch()
			_ = b.Set(db.Key('t', U64(1)), nil)
			if change(b) == nil {
				t.Errorf("%s accepted", name)
			}
			if b.Commit(NoSync) == nil {
				t.Errorf("%s: the commit says yes", name)
			}
			if ok, _ := db.Has(db.Key('t', U64(1))); ok {
				t.Fatalf("%s: half a batch was applied", name)
			}
			if b.Set(db.Key('t'), nil) == nil || b.Commit(NoSync) == nil {
				t.Errorf("%s: a batch that ended can be used", name)
			}
		}
		if err := db.Scan(Key{}, nil); !errs.Is(err, errs.Invalid) {
			t.Errorf("scan without a table: %v", err)
		}
	})
}

// Against a map: random batches, random reads, random reopening.
func TestModel(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		rng := rand.New(rand.NewPCG(7, 7))
		db := open()
		model := map[uint64]uint64{}
		for step := range 400 {
			b, next := db.Batch(), map[uint64]uint64{}
			for k, v := range model {
				next[k] = v
			}
			for range rng.IntN(20) {
				k, v := rng.Uint64N(64), rng.Uint64()
				if rng.IntN(3) == 0 {
					_ = b.Delete(db.Key('m', U64(k)))
					delete(next, k)
				} else {
					_ = b.Set(db.Key('m', U64(k)), db.Key('v', U64(v)))
					next[k] = v
				}
				got, err := b.Get(db.Key('m', U64(k)))
				if v, ok := next[k]; ok != (err == nil) || ok && !bytes.Equal(got, db.Key('v', U64(v))) {
					t.Fatalf("step %d: batch reads %x, %v", step, got, err)
				}
			}
			if rng.IntN(4) == 0 {
				b.Close()
			} else if err := b.Commit(Durability(rng.IntN(8) == 0)); err != nil {
				t.Fatal(err)
			} else {
				model = next
			}
			n := 0
			if err := db.Scan(db.Key('m'), func(k Key, got []byte) bool {
				n++
				return true
			}); err != nil || n != len(model) {
				t.Fatalf("step %d: %d rows, want %d (%v)", step, n, len(model), err)
			}
			for k, v := range model {
				if got, err := db.Get(db.Key('m', U64(k))); err != nil || !bytes.Equal(got, db.Key('v', U64(v))) {
					t.Fatalf("step %d: row %d: %x, %v", step, k, got, err)
				}
			}
			if step%100 == 99 {
				_ = db.Close()
				db = open()
			}
		}
	})
}

func TestConcurrentUseAndClose(t *testing.T) {
	everyEngine(t, func(t *testing.T, open func() *DB) {
		db := open()
		var wg sync.WaitGroup
		for g := range uint64(8) {
			wg.Go(func() {
				for i := uint64(0); ; i++ {
					b := db.Batch()
					_ = b.Set(db.Key('c', U64(g), U64(i)), []byte("v"))
					err := b.Commit(Durability(i%16 == 0))
					if err == nil {
						_, err = db.Get(db.Key('c', U64(g), U64(i)))
					}
					if err == nil && i%8 == 0 {
						err = db.Sync()
					}
					if err == nil && i%32 == 0 {
						s, e := db.Snapshot() // left open: Close must bear it
						if e == nil {
							_, e = s.Get(db.Key('c', U64(g), U64(i)))
						}
						err = e
					}
					if err != nil {
						if !errs.Is(err, errs.Closed) {
							t.Error(err)
						}
						return
					}
					if g == 0 && i == 100 {
						if err := db.Close(); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
	})
}

func BenchmarkGet(b *testing.B) {
	db := open(b, b.TempDir(), Options{})
	batch := db.Batch()
	for i := range uint64(1000) {
		_ = batch.Set(db.Key('g', U64(i)), make([]byte, 100))
	}
	_ = batch.Commit(Sync)
	var buf []byte
	var err error
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if buf, err = db.GetAppend(buf[:0], db.Key('g', U64(uint64(i%1000)))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommitNoSync(b *testing.B) {
	db := open(b, b.TempDir(), Options{})
	v := make([]byte, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		batch := db.Batch()
		_ = batch.Set(db.Key('g', HiddenString("name"), U64(uint64(i))), v)
		if err := batch.Commit(NoSync); err != nil {
			b.Fatal(err)
		}
	}
}
