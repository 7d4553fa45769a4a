// Package gc sets how much memory a daemon trades for the collector's time, and for the system's.
package gc

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// percent lets the heap grow to four times what is alive of that which the collector has to look through. A first
	// sync of a million files has some 30 MiB alive and makes garbage all the time: at Go's default of 100 the collector
	// takes a sixth of the processor (BenchmarkScale: a fifth fewer records a second).
	percent = 300
	// garbage is how much there may be in any case: bytes. Buffers and tables of bytes, most of what is alive
	// while files are fetched, cost the collector nothing: three times as much garbage beside them would only be more memory
	// that is used for the first time.
	garbage = 32 << 20
	// limit is where the collector begins to run as often as need be: bytes of the whole process.
	limit = 320 << 20
	// With much alive (a kernel that knows a million files) that would be all the time: the limit is no less than so
	// many times that.
	room = 2
	// every is how often it is looked at.
	every = time.Second
)

// Tune sets the collector of this process, and goes on doing so; what the environment says (GOGC, GOMEMLIMIT) holds.
// It should be called early, while the heap is small.
func Tune() {
	once.Do(func() {
		useLargePages(limit)
		t := tuning{percent: percent, limit: limit, ofPercent: os.Getenv("GOGC") == "", ofLimit: os.Getenv("GOMEMLIMIT") == ""}
		t.set()
		if t.ofPercent || t.ofLimit {
			go t.follow()
		}
	})
}

var once sync.Once

// tuning is what the collector was told.
type tuning struct {
	percent            int
	limit              int64
	ofPercent, ofLimit bool // which of both is ours to tell
}

func (t *tuning) set() {
	if t.ofPercent {
		debug.SetGCPercent(t.percent)
	}
	if t.ofLimit {
		debug.SetMemoryLimit(t.limit)
	}
}

// follow moves both with what is alive.
func (t *tuning) follow() {
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	for {
		metrics.Read(heap)
		alive, scanned, all := int64(heap[0].Value.Uint64()), int64(heap[1].Value.Uint64()), int64(heap[2].Value.Uint64())
		l, p := limitFor(alive), percentFor(alive, float64(scanned)/float64(max(all, 1)))
		if l != t.limit || max(p-t.percent, t.percent-p) > t.percent/8 { // not for little: all stand still for a moment
			t.limit, t.percent = l, p
			t.set()
		}
		time.Sleep(every)
	}
}

// limitFor is the limit for a heap of which so many bytes are alive.
func limitFor(alive int64) int64 { return max(limit, room*alive) }

// percentFor is how much garbage there may be beside so many bytes that are alive, in percent of them, if
// the collector has to look through a share of the heap.
func percentFor(alive int64, scanned float64) int {
	most := max(garbage, percent/100*scanned*float64(alive))
	return int(max(1, min(100*most/float64(max(alive, 1)), percent))) // at 0 it would never stop collecting
}
