package replicate

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/simnet"
	"github.com/shelffs/shelf/internal/wire"
)

// working lists the goroutines that are inside a Replicator, by their stacks.
func working() (out []string) {
	buf := make([]byte, 1<<20)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "replicate.(*Replicator).") {
			out = append(out, g)
		}
	}
	return out
}

// Nothing outlives Run, whatever the other side does: here it opens streams, takes ours, and then
// is silent.
func TestNoGoroutineOutlivesRun(t *testing.T) {
	net := simnet.New(simnet.Link{})
	silent := make(chan struct{})
	defer close(silent)
	var quiet []*simnet.Host
	for i := range 3 {
		h := net.Host(ident.DeviceIDOf(key(1 + i)))
		h.Handle(Protocol, func(ident.DeviceID, wire.Stream) { <-silent })
		quiet = append(quiet, h)
	}
	a := newPeer(t, net, 0, 1, 2, 3)
	a.make(t, 0, 100)
	for i, h := range quiet[:2] {
		s, err := h.Open(context.Background(), a.id, Protocol)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 { // the other does not even begin
			if err := handshake(s, true, ident.DeviceIDOf(key(2)), a.id, [32]byte{5}); err != nil {
				t.Fatal(err)
			}
		}
	}
	const streams, loop = 2 + 3, 1 + 3 // of each device one waits for being told that it is there twice
	for end := time.Now().Add(10 * time.Second); len(working()) < streams+loop; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines at work, expected %d", len(working()), streams+loop)
		}
	}
	a.stop()
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) { // the last steps of what was waited for
		left := working()
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		}
	}
}
