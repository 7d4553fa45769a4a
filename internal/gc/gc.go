// Package gc sets how much memory a daemon trades for the collector's time.
package gc

import (
	"os"
	"runtime/debug"
)

const (
	// percent lets the heap grow to four times what is alive. A first sync of a million files has
	// some 30 MiB alive and makes garbage all the time: at Go's default of 100 the collector takes
	// a sixth of the processor (BenchmarkScale: a fifth fewer records a second).
	percent = 300
	// limit is where the collector begins to run as often as need be: bytes of the whole process.
	limit = 320 << 20
)

// Tune sets the collector of this process; what the environment says (GOGC, GOMEMLIMIT) holds.
func Tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}
