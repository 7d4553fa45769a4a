package gc

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// With more alive than the limit the collector would do nothing else: the limit goes before.
func TestLimitFollowsWhatIsAlive(t *testing.T) {
	if os.Getenv("GOMEMLIMIT") != "" || os.Getenv("GOGC") != "" {
		t.Fatal("GOGC and GOMEMLIMIT are to be unset")
	}
	Tune()
	if now := debug.SetMemoryLimit(-1); now != limit {
		t.Errorf("at first the limit is %d", now)
	}
	alive := make([]byte, limit)
	runtime.GC()
	for end := time.Now().Add(10 * time.Second); debug.SetMemoryLimit(-1) < room*limit; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("with %d bytes alive the limit is %d", len(alive), debug.SetMemoryLimit(-1))
		}
	}
	runtime.KeepAlive(alive)
	alive = nil
	runtime.GC()
	for end := time.Now().Add(10 * time.Second); debug.SetMemoryLimit(-1) != limit; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("with nothing alive the limit is %d", debug.SetMemoryLimit(-1))
		}
	}
}
