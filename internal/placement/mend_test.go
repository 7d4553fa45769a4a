package placement

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/namespace"
)

// damage overwrites the middle of every segment of a device's store that holds a block of size.
func (d *dev) damage() {
	d.w.t.Helper()
	d.must(d.store.Sync(bg))
	files, err := filepath.Glob(d.dir + "/cache/segments/*.seg")
	d.must(err)
	if len(files) == 0 {
		d.w.t.Fatal("no segments")
	}
	for _, name := range files {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		d.must(err)
		for off := int64(4096); off < 256<<10; off += 4096 {
			_, err = f.WriteAt([]byte("damage"), off)
			d.must(err)
		}
		d.must(f.Close())
	}
}

// What a pin keeps, and what was promised to another device, comes again when the copy here is bad.
func TestDamagedKeptBlocksComeAgain(t *testing.T) {
	for name, pin := range map[string]bool{"pinned": true, "promised": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			a, b := w.all[0], w.all[1]
			x := sealed(1, 100<<10)
			e := a.write(namespace.NodeID{}, "f", x)
			w.sync()
			if pin {
				b.must(b.Pin(bg, e.ID, true, nil))
			} else {
				_, err := a.HoldElsewhere(bg)
				a.must(err)
			}
			w.eventually("b keeps it", func() bool { return b.classOf(x) == cache.Pinned && a.keptBy(e, b) })
			a.must(a.store.PutBlock(bg, x)) // a was relieved; it may still have a copy
			b.damage()
			w.net.Partition(a.id, b.id)
			if _, err := b.store.GetBlock(bg, x.Digest); err == nil {
				t.Fatal("the damage was not noticed")
			}
			w.eventually("b does not say any more that it keeps it", func() bool { return !b.keptBy(e, b) })
			w.net.Heal(a.id, b.id)
			w.eventually("it is here again", func() bool { return b.classOf(x) == cache.Pinned && b.keptBy(e, b) })
			if got, err := b.store.GetBlock(bg, x.Digest); err != nil || got.Verify() != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// One round of the scrub finds the damage that nobody has met; what is kept comes again from a peer, and
// what was written here and is nowhere kept but there; what was only read goes.
func TestScrubHealsFromAPeer(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x, y, z := sealed(1, 60<<10), sealed(2, 60<<10), sealed(3, 60<<10)
	e := a.write(namespace.NodeID{}, "f", x)
	w.sync()
	b.must(b.Pin(bg, e.ID, true, nil))
	a.must(a.store.PutBlock(bg, x)) // a was relieved; it may still have a copy
	b.must(b.store.PutBlock(bg, z))
	b.write(namespace.NodeID{}, "mine", y)
	a.must(a.store.PutBlock(bg, y)) // somebody looked at it there
	b.damage()
	b.must(b.store.BeginRound(time.Now()))
	r, err := b.store.Scrub(bg, 0)
	if err != nil || !r.Done() || r.Bad < 3 {
		t.Fatalf("%+v %v", r, err)
	}
	w.eventually("the pinned is here again", func() bool { return b.classOf(x) == cache.Pinned && b.keptBy(e, b) })
	w.eventually("the written is here again", func() bool { return b.classOf(y) == cache.Staged })
	for _, blk := range []blocks.Sealed{x, y} {
		if got, err := b.store.GetBlock(bg, blk.Digest); err != nil || got.Verify() != nil {
			t.Errorf("%v", err)
		}
	}
	if c := b.classOf(z); c != cache.None {
		t.Errorf("what was only read is %v", c)
	}
	b.must(b.store.BeginRound(time.Now()))
	if r, err := b.store.Scrub(bg, 0); err != nil || r.Bad > 0 {
		t.Errorf("the next round: %+v %v", r, err)
	}
}

// keptBy reports what d knows of whether o keeps the file whole.
func (d *dev) keptBy(e namespace.Entry, o *dev) bool { return d.ledger.keeps(o.id, e.Versions) }

// meddled is the namespace of a device, with somebody who acts in the moment between an answer
// and its use.
type meddled struct {
	Names
	d *dev
}

func (m meddled) Contents(n namespace.NodeID) ([]blocks.Content, error) {
	cs, err := m.Names.Contents(n)
	if do := m.d.meddle.Load(); do != nil {
		(*do)(n)
	}
	return cs, err
}

// A writer that makes a dead block needed again, at whatever moment of the sweep, keeps it.
func TestSweepAgainstAWriter(t *testing.T) {
	for at := range int32(4) { // before the first, second … use of what the namespace answered
		w := newWorld(t, 1)
		a := w.all[0]
		x, y := sealed(1, 5000), sealed(2, 5000)
		e := a.write(namespace.NodeID{}, "f", x)
		a.stopRunning() // the sweeps are ours
		a.write(e.ID, "", y)
		written := cache.Owner{Kind: cache.Written, Node: e.ID}
		if _, err := a.sweepNow(written); err != nil { // starts the clock
			t.Fatal(err)
		}
		time.Sleep(settleTime + 50*time.Millisecond)
		var calls atomic.Int32
		back := func(namespace.NodeID) {
			if calls.Add(1)-1 == at {
				a.meddle.Store(nil)
				a.write(e.ID, "", x)
			}
		}
		a.meddle.Store(&back)
		if _, err := a.sweepNow(written); err != nil {
			t.Fatal(err)
		}
		a.meddle.Store(nil)
		if calls.Load() <= at {
			if at < 2 {
				t.Fatalf("the sweep asked %d times only", calls.Load())
			}
			continue // it was over before
		}
		if ok, err := a.store.Owns(written, x.Digest); err != nil || !ok || a.classOf(x) != cache.Staged {
			t.Errorf("moment %d: the only copy of what the file shows is %v, owned %v %v", at, a.classOf(x), ok, err)
		}
	}
}

// The same for a file that is held for another device, which writes an earlier content again.
func TestSweepAgainstAHold(t *testing.T) {
	for at := range int32(2) {
		w := newWorld(t, 1)
		b := w.all[0]
		x, y := sealed(1, 5000), sealed(2, 5000)
		e := b.write(namespace.NodeID{}, "f", x)
		b.stopRunning()
		hold := cache.Owner{Kind: cache.Hold, Node: e.ID}
		b.must(b.store.Own(hold, x.Digest))
		b.write(e.ID, "", y)
		b.must(b.store.Disown(cache.Owner{Kind: cache.Written, Node: e.ID}, x.Digest))
		if _, err := b.sweepNow(hold); err != nil {
			t.Fatal(err)
		}
		time.Sleep(settleTime + 50*time.Millisecond)
		var calls atomic.Int32
		owned := make(chan error, 1)
		back := func(namespace.NodeID) {
			if calls.Add(1)-1 != at {
				return
			}
			b.meddle.Store(nil)
			old, err := b.names.Get(e.ID)
			b.must(err)
			_, err = b.names.Commit(e.ID, old.Versions, blocks.Content{Root: x.Digest, Size: 5000}, time.Now().UnixNano())
			b.must(err)
			go func() { owned <- b.promise(e.ID) }()
			time.Sleep(50 * time.Millisecond) // where nothing holds it back, the promise is made now
		}
		b.meddle.Store(&back)
		if _, err := b.sweepNow(hold); err != nil {
			t.Fatal(err)
		}
		b.must(<-owned)
		if ok, err := b.store.Owns(hold, x.Digest); err != nil || !ok {
			t.Errorf("moment %d: what was promised is not kept: %v %v", at, ok, err)
		}
	}
}

// sweepNow sweeps what an owner owns.
func (d *dev) sweepNow(o cache.Owner) ([]blocks.Digest, error) {
	mine, err := d.owned(o)
	d.must(err)
	return d.sweep(bg, o, mine)
}

// promise is what answers a device that asks to hold a file.
func (d *dev) promise(n namespace.NodeID) error {
	ent, err := d.names.Get(n)
	if err != nil {
		return err
	}
	return d.pins.promise(ent)
}

// stopRunning ends the engine's own work; its methods go on working.
func (d *dev) stopRunning() {
	d.stop()
	d.stop = func() {}
}
