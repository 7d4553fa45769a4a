package kv

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shelffs/shelf/internal/errs"
)

// What a crash leaves is a prefix of the commits that includes all synced ones, whatever is
// done to the old store, and the disk it leaves works.
func TestMemoryCrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for round := range 200 {
		m := NewMemory()
		db, err := OpenMemory(m)
		if err != nil {
			t.Fatal(err)
		}
		commit := func(db *DB, i int, d Durability) {
			b := db.Batch()
			_ = b.Set(db.Key('n', U64(uint64(i))), fmt.Append(nil, i))
			_ = b.Set(db.Key('l'), fmt.Append(nil, i))
			_ = b.Delete(db.Key('n', U64(uint64(i-3))))
			if err := b.Commit(d); err != nil {
				t.Fatal(err)
			}
		}
		n, synced := 1+rng.IntN(40), 0
		var snap *Snapshot
		for i := 1; i <= n; i++ {
			commit(db, i, Durability(rng.IntN(10) == 0))
			if m.Unsynced() == 0 {
				synced = i
			}
			if i == n/2 {
				snap, _ = db.Snapshot()
			}
		}
		if snap != nil {
			if v, _ := snap.Get(db.Key('l')); string(v) != fmt.Sprint(n/2) {
				t.Fatalf("snapshot of %d shows %s", n/2, v)
			}
		}
		image, keep := m.Clone(), rng.IntN(12)
		crashed := m.Crash(keep)
		commit(db, n+1, Sync) // goes nowhere
		for disk, want := range map[*Memory]int{image: n, crashed: min(synced+keep, n)} {
			db, err := OpenMemory(disk)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := db.Get(db.Key('l'))
			if want > 0 && string(got) != fmt.Sprint(want) || want == 0 && got != nil {
				t.Fatalf("round %d: %d commits, %d synced, crash keeps %d: last is %s, want %d", round, n, synced, keep, got, want)
			}
			rows := 0
			_ = db.ScanKeys(db.Key('n'), func(Key) bool { rows++; return true })
			if rows != min(want, 3) {
				t.Fatalf("%d rows, want %d", rows, min(want, 3))
			}
			commit(db, want+1, Sync)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestMemoryPowerFails(t *testing.T) {
	m := NewMemory()
	db, _ := OpenMemory(m)
	if _, err := OpenMemory(m); !errs.Is(err, errs.Busy) {
		t.Errorf("open twice: %v", err)
	}
	set(t, db, db.Key('a'), "1")
	m.FailAfter(2)
	set(t, db, db.Key('a'), "2")
	if err := db.Sync(); err != nil {
		t.Fatal(err)
	}
	b := db.Batch()
	_ = b.Set(db.Key('a'), []byte("3"))
	if err := b.Commit(NoSync); !errs.Is(err, errs.Other) {
		t.Errorf("a commit without power: %v", err)
	}
	db, _ = OpenMemory(m.Crash(9))
	if v, _ := db.Get(db.Key('a')); string(v) != "2" {
		t.Errorf("after the crash %q", v)
	}
	set(t, db, db.Key('a'), "4")
}

func BenchmarkMemoryCommit(b *testing.B) {
	db, _ := OpenMemory(NewMemory())
	v := make([]byte, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		batch := db.Batch()
		for j := range 8 {
			_ = batch.Set(db.Key('g', HiddenString("name"), U64(uint64((i*8+j)*7919%1000))), v)
		}
		if err := batch.Commit(Sync); err != nil {
			b.Fatal(err)
		}
	}
}
