package kv

import (
	"path/filepath"
	"testing"
	"time"
)

// A store that nobody writes to any more becomes by itself as small as what it holds, and the
// part of that which is left loose.
func TestComesToRest(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, Options{Ballast: -1, memTable: 1 << 20, restAfter: 20 * time.Millisecond})
	value := make([]byte, 1000)
	for range 5 { // rows that replace each other
		for i := range uint64(40) {
			b := db.Batch()
			for j := range uint64(50) {
				_ = b.Set(db.Key('t', U64(i), U64(j)), value)
			}
			if err := b.Commit(NoSync); err != nil {
				t.Fatal(err)
			}
		}
	}
	const holds = 40 * 50 * 1000
	const most = (holds + holds/restPart) * 11 / 10
	size := db.Metrics().DiskBytes
	for until := time.Now().Add(20 * time.Second); size > most && time.Now().Before(until); size = db.Metrics().DiskBytes {
		time.Sleep(20 * time.Millisecond)
	}
	if size > most || size < holds {
		t.Errorf("%d bytes for rows of %d", size, holds)
	}
	if logs, _ := filepath.Glob(filepath.Join(dir, "*.log")); len(logs) > 2 {
		t.Errorf("logs that are done with are kept: %v", logs)
	}
	n := 0
	if err := db.Scan(db.Key('t'), func(_ Key, v []byte) bool { n += len(v); return true }); n != holds || err != nil {
		t.Errorf("%d bytes are there: %v", n, err)
	}
}
