//go:build unix

package namespace

import (
	"syscall"
	"time"
)

// processor is the time of the processor that this process has had, also in the background.
func processor() time.Duration {
	var r syscall.Rusage
	must(0, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
