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
	// percent lets the heap grow to four times what is alive. A first sync of a million files has
	// some 30 MiB alive and makes garbage all the time: at Go's default of 100 the collector takes
	// a sixth of the processor (BenchmarkScale: a fifth fewer records a second).
	percent = 300
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
	pages.Do(func() { useLargePages(limit) })
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
		once.Do(func() { go follow() })
	}
}

var pages, once sync.Once

// follow moves the limit with what is alive.
func follow() {
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for now := int64(limit); ; time.Sleep(every) {
		metrics.Read(alive)
		if l := limitFor(int64(alive[0].Value.Uint64())); l != now {
			debug.SetMemoryLimit(l)
			now = l
		}
	}
}

// limitFor is the limit for a heap of which so many bytes are alive.
func limitFor(alive int64) int64 { return max(limit, room*alive) }
