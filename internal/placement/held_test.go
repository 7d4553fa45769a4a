package placement

import (
	"fmt"
	"testing"
	"time"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/namespace"
)

// What is held is not begun, however often it is tried; a person who waits for a pin, and what another device
// asked us to hold, does not wait for it. Afterwards all goes on.
func TestHeldPinsAreNotBegun(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x, y, z := sealed(1, 5000), sealed(2, 5000), sealed(3, 5000)
	ex, ey, ez := a.write(namespace.NodeID{}, "x", x), a.write(namespace.NodeID{}, "y", y), a.write(namespace.NodeID{}, "z", z)
	w.sync()
	b.holds.Store(true)
	for i := range 2 * pinWorkers { // more than there are workers
		e := a.write(namespace.NodeID{}, fmt.Sprint(i), x)
		w.sync()
		b.must(b.Pin(bg, e.ID, false, nil))
	}
	b.must(b.Pin(bg, ex.ID, false, nil))
	b.Resume()
	if !b.Waits(ex.ID) || b.Waits(ey.ID) {
		t.Error("it is not told which files wait")
	}
	b.must(b.Pin(bg, ey.ID, true, nil))
	if n := b.fetched[Awaited].Load(); n == 0 || b.classOf(y) != cache.Pinned {
		t.Errorf("a pin that is waited for is %v, after %d fetches as such", b.classOf(y), n)
	}
	b.must(b.pins.promise(ez))
	w.eventually("it is held for another device", func() bool { return b.classOf(z) == cache.Pinned })
	if n := b.fetched[ForPin].Load(); n != 0 {
		t.Errorf("%d fetches for pins while they were held", n)
	}
	if held, _ := b.Work(); held != 2*pinWorkers+1 {
		t.Errorf("%d pins wait", held)
	}
	b.must(b.Unpin(ex.ID))
	if held, _ := b.Work(); held != 2*pinWorkers || b.Waits(ex.ID) {
		t.Errorf("%d pins wait after one was taken back", held)
	}
	b.must(b.Pin(bg, ex.ID, false, nil))
	if held, _ := b.Work(); held != 2*pinWorkers+1 {
		t.Errorf("%d pins wait after it was pinned again", held)
	}
	b.holds.Store(false)
	b.Resume()
	for end := time.Now().Add(retryTime / 2); b.fetched[ForPin].Load() < 2*pinWorkers+1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the pins do not go on before they would be tried anyway")
		}
	}
	w.eventually("nothing waits", func() bool { held, working := b.Work(); return held+working == 0 })
}
