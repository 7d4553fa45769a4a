package placement

import (
	"context"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/namespace"
)

// pass lets time go by on all devices.
func (w *world) pass(d time.Duration) {
	for _, x := range w.all {
		x.ahead.Add(int64(d))
	}
}

// What was kept stays as history when it is overwritten or removed, on every device that kept it,
// and goes when its time is over; what was there for a moment only goes at once.
func TestWhatIsPastStays(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	v1 := []blocks.Sealed{sealed(1, 20000), sealed(2, 20000)}
	e := a.write(namespace.NodeID{}, "f", v1...)
	w.sync()
	for _, d := range w.all {
		d.must(d.Pin(context.Background(), e.ID, true, func(Progress) {}))
	}
	w.pass(time.Hour)
	v2 := sealed(3, 20000)
	a.write(e.ID, "f", v1[1], v2) // one block stays
	w.sync()
	for _, d := range w.all {
		w.eventually("the old block is past", func() bool { return d.classOf(v1[0]) == cache.Past })
	}
	w.eventually("the new one is pinned", func() bool { return b.classOf(v2) == cache.Pinned })
	v3 := sealed(4, 20000)
	a.write(e.ID, "f", v3) // after v2, in no time
	w.sync()
	w.eventually("fleeting contents go", func() bool { return a.classOf(v2) <= cache.Fetched && b.classOf(v2) <= cache.Fetched })
	w.pass(time.Hour)
	_, err := a.names.Remove(namespace.Root, "f", false)
	a.must(err)
	w.sync()
	for _, d := range w.all {
		w.eventually("all of it is past", func() bool { return d.classOf(v3) == cache.Past && d.classOf(v1[1]) == cache.Past })
	}
	a.restart()
	if a.classOf(v3) != cache.Past {
		t.Error("not after a restart")
	}
	expire := func() {
		_, err := a.names.ExpireHistory(context.Background(), func(ns []namespace.NodeID) { a.Forget(context.Background(), ns) })
		a.must(err)
	}
	w.pass(namespace.DefaultHistory - 90*time.Minute)
	expire()
	if x, y, z := a.classOf(v1[0]), a.classOf(v1[1]), a.classOf(v3); x != cache.Past || y != cache.Past || z != cache.Past {
		t.Errorf("too soon: %v %v %v", x, y, z)
	}
	w.pass(time.Hour)
	expire()
	if x, y, z := a.classOf(v1[0]), a.classOf(v1[1]), a.classOf(v3); x != cache.Fetched || y != cache.Fetched || z != cache.Past {
		t.Errorf("one version has expired: %v %v %v", x, y, z)
	}
	w.pass(time.Hour)
	expire()
	if z := a.classOf(v3); z != cache.Fetched {
		t.Errorf("the other: %v", z)
	}
}

// Nobody is relieved by what is only history.
func TestThePastPromisesNothing(t *testing.T) {
	w := newWorld(t, 2)
	b := w.all[1]
	v := sealed(1, 20000)
	e := b.write(namespace.NodeID{}, "f", v)
	b.must(b.store.Own(cache.Owner{Kind: cache.History, Node: e.ID}, v.Digest))
	b.must(b.store.DisownAll(cache.Owner{Kind: cache.Written, Node: e.ID}))
	if got := b.classOf(v); got != cache.Past {
		t.Fatal(got)
	}
	if b.grants(e.ID, v) {
		t.Error("granted")
	}
	b.must(b.store.Own(cache.Owner{Kind: cache.Pin, Node: [16]byte{9}}, v.Digest)) // kept, but not for this file
	if b.grants(e.ID, v) {
		t.Error("granted for another file's sake")
	}
	b.must(b.store.Disown(cache.Owner{Kind: cache.Pin, Node: [16]byte{9}}, v.Digest))
	if c := b.Classes([]blocks.Digest{v.Digest})[0]; c != wireClass(cache.Fetched) {
		t.Errorf("told as %v", c)
	}
}
