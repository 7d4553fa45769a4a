package gc

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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
	if p := gogc(); p != percent {
		t.Errorf("at first the percent are %d", p)
	}
	alive := make([]byte, limit)
	runtime.GC()
	for end := time.Now().Add(10 * time.Second); debug.SetMemoryLimit(-1) < room*limit; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("with %d bytes alive the limit is %d", len(alive), debug.SetMemoryLimit(-1))
		}
	}
	if p := gogc(); p > 100*garbage/limit+1 {
		t.Errorf("with %d bytes alive, all without pointers, the percent are %d", len(alive), p)
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

// gogc is the percent in force.
func gogc() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// Bytes alone are no reason for more garbage, what has pointers is.
func TestGarbageIsBounded(t *testing.T) {
	for _, c := range []struct {
		name    string
		alive   int64
		scanned float64
		garbage int64 // at most
	}{
		{"nothing", 0, 1, garbage},
		{"a small heap", 4 << 20, 1, 12 << 20},
		{"buffers", 128 << 20, 0.05, garbage},
		{"half of each", 60 << 20, 0.5, 90 << 20},
		{"names", 30 << 20, 1, 90 << 20},
		{"many buffers", 8 << 30, 0.001, (8 << 30) / 100},
	} {
		got := int64(percentFor(c.alive, c.scanned)) * c.alive / 100
		if got > c.garbage || got < c.garbage*9/10 && c.alive > 0 {
			t.Errorf("%s: %d bytes of garbage, not %d", c.name, got, c.garbage)
		}
	}
}
