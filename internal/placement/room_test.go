package placement

import (
	"errors"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Favourites leave the rest of the cache to what is read: a pin that would take more is refused, and so is
// what comes into a pinned folder later.
func TestPinsHaveAQuota(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	b.quota = testLimit / 2
	b.restart()
	big := func(seed int) blocks.Sealed { return sealed(uint64(seed), testLimit/5) }
	dir, err := a.names.Create(namespace.Root, "d", namespace.Spec{Kind: namespace.Dir, Mode: 0o755})
	a.must(err)
	x, y := a.write(namespace.NodeID{}, "x", big(1)), a.write(namespace.NodeID{}, "y", big(2))
	w.sync()
	b.must(b.Pin(bg, x.ID, true, nil))
	b.must(b.Pin(bg, dir.ID, true, nil))
	b.must(b.Pin(bg, y.ID, true, nil)) // up to four tenths
	z := a.write(namespace.NodeID{}, "z", big(3))
	w.sync()
	var none *NoRoom
	err = b.Pin(bg, z.ID, true, nil)
	if !errs.Is(err, errs.NoSpace) || !errors.As(err, &none) || !none.ByQuota() || none.ByDisk() || none.Left() > testLimit/10 {
		t.Fatalf("over the quota: %v %+v", err, none)
	}
	if _, own, _ := b.names.Placement(z.ID, b.id); own != namespace.Inherited {
		t.Error("the wish was recorded")
	}
	// A move into the pinned folder is no way around it.
	_, _, err = a.names.Rename(namespace.Root, "z", dir.ID, "z", 0)
	a.must(err)
	w.sync()
	w.eventually("it is tried and refused", func() bool {
		b.pins.mu.Lock()
		defer b.pins.mu.Unlock()
		return errors.As(b.pins.failed[job{z.ID, ForPin}], &none) && none.ByQuota()
	})
	for i := range 4 { // reading goes on in what is left
		b.must(b.store.PutBlock(bg, big(10+i)))
		if got := b.classOf(big(10 + i)); got != cache.Fetched {
			t.Errorf("read block %d is %v", i, got)
		}
	}
	// What another device must get rid of is taken up to the limit.
	w.eventually("held for another", func() bool {
		_, err := a.HoldElsewhere(bg)
		return err == nil && b.classOf(big(3)) == cache.Pinned
	})
}
