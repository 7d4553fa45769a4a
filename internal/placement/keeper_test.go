package placement

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

var bg = context.Background()

// What was written stays staged until another device keeps it, and is let go then.
func TestStagedUntilAnotherKeeps(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x, y := sealed(1, 5000), sealed(2, 5000)
	e := a.write(namespace.NodeID{}, "f", x, y)
	w.sync()
	time.Sleep(2 * settleTime)
	if a.classOf(x) != cache.Staged {
		t.Fatal("let go though nobody else has it")
	}
	b.must(b.Pin(bg, e.ID, true, nil))
	if b.classOf(x) != cache.Pinned || b.classOf(y) != cache.Pinned {
		t.Fatal("pin --wait came back too early")
	}
	w.eventually("the writer is relieved", func() bool { return a.classOf(x) == cache.Fetched && a.classOf(y) == cache.Fetched })
	w.eventually("both know who keeps it", func() bool {
		return slices.Equal(a.Keepers(e.Versions), b.Keepers(e.Versions)) && len(a.Keepers(e.Versions)) == 1
	})
}

// Whoever fetches a file is told who keeps it.
func TestFetchIsToldWhoKeepsIt(t *testing.T) {
	w := newWorld(t, 3)
	a, c := w.all[0], w.all[2]
	e := a.write(namespace.NodeID{}, "f", sealed(1, 5000))
	w.sync()
	w.eventually("the writer said that it keeps it", func() bool { return len(c.Keepers(e.Versions)) == 1 })
	known := c.Keepers(e.Versions)
	c.must(c.Pin(bg, e.ID, true, nil))
	known = append(known, c.Keepers(e.Versions)...) // another one may have taken it over meanwhile
	for _, got := range []*[]ident.DeviceID{c.listed.Load(), c.pointed.Load()} {
		if got == nil || len(*got) == 0 || slices.ContainsFunc(*got, func(d ident.DeviceID) bool { return !slices.Contains(known, d) }) {
			t.Errorf("told of %v, known are %v", got, known)
		}
	}
}

// Nobody who is about to leave grants leave to others, and a grant is for one file only.
func TestGrant(t *testing.T) {
	w := newWorld(t, 1)
	a := w.all[0]
	x := sealed(1, 100)
	e := a.write(namespace.NodeID{}, "f", x)
	ds := []blocks.Digest{x.Digest}
	if !a.grants(e.ID, x) {
		t.Fatal("a keeper does not grant")
	}
	done := a.leaving.enter(e.ID, ds)
	if a.grants(e.ID, x) {
		t.Fatal("granted while leaving")
	}
	done()
	if !a.grants(e.ID, x) {
		t.Fatal("a keeper that stayed does not grant")
	}
	if other := (namespace.NodeID{9}); a.grants(other, x) {
		t.Fatal("granted for a file for which nothing is kept")
	}
	a.must(a.store.DisownAll(cache.Owner{Kind: cache.Written, Node: e.ID}))
	if a.grants(e.ID, x) {
		t.Fatal("granted what is only cache")
	}
}

// The original is removed after its copy was freed: the copy's bytes must have been kept for the copy.
func TestFreeACopyThenRemoveTheOriginal(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x := sealed(1, 5000)
	orig := a.write(namespace.NodeID{}, "original", x)
	dup := a.write(namespace.NodeID{}, "copy", x)
	w.sync()
	b.must(b.Pin(bg, orig.ID, true, nil))
	if _, err := a.free(bg, dup); err != nil { // b has all of it, and takes it over
		t.Fatal(err)
	}
	_, err := a.names.Remove(namespace.Root, "original", false)
	a.must(err)
	w.sync()
	time.Sleep(4 * settleTime)
	a.evict(x.Digest)
	b.evict(x.Digest)
	if a.classOf(x) == cache.None && b.classOf(x) == cache.None {
		t.Fatal("the copy is lost")
	}
}

func TestFreeIsAllOrNone(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x, y := sealed(1, 5000), sealed(2, 5000)
	e := a.write(namespace.NodeID{}, "f", x, y)
	w.sync()
	b.must(b.store.PutBlock(bg, x))
	b.must(b.store.Own(cache.Owner{Kind: cache.Pin, Node: e.ID}, x.Digest)) // y it has not
	f, err := a.free(bg, e)
	if !errs.Is(err, errs.Refused) || f.Blocks != 0 || f.KeptBlocks != 3 || a.classOf(x) != cache.Staged {
		t.Fatalf("%v %+v", err, f)
	}
	b.must(b.Pin(bg, e.ID, true, nil))
	if f, err = a.free(bg, e); err != nil || f.Blocks != 3 || a.classOf(x) != cache.None || a.classOf(y) != cache.None {
		t.Fatalf("%v %+v", err, f)
	}
	b.close()
	if f, err = a.free(bg, e); err != nil || f.Blocks != 0 { // nothing here, nobody needs to be asked
		t.Fatalf("%v %+v", err, f)
	}
	e = a.write(e.ID, "", sealed(3, 100))
	if _, err = a.free(bg, e); !errs.Is(err, errs.Offline) {
		t.Fatal(err)
	}
}

// What is written while a free asks is not let go by it.
func TestFreeLeavesWhatIsWrittenMeanwhile(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x, z := sealed(1, 5000), sealed(3, 5000)
	e := a.write(namespace.NodeID{}, "f", x)
	w.sync()
	b.must(b.Pin(bg, e.ID, true, nil))
	var once sync.Once
	w.silent.Store(new(func() bool {
		once.Do(func() { a.write(e.ID, "", z) })
		return false
	}))
	if _, err := a.free(bg, e); err != nil {
		t.Fatal(err)
	}
	a.evict(x.Digest, z.Digest)
	if a.classOf(z) != cache.Staged {
		t.Fatalf("new bytes are %v", a.classOf(z))
	}
}

func TestBlocksOfOldVersionsGo(t *testing.T) {
	w := newWorld(t, 1)
	a := w.all[0]
	x, y, z := sealed(1, 5000), sealed(2, 5000), sealed(3, 5000)
	e := a.write(namespace.NodeID{}, "f", x, y)
	a.write(e.ID, "", y, z)
	w.eventually("the old block is no longer kept", func() bool { return a.classOf(x) == cache.Fetched })
	if a.classOf(y) != cache.Staged || a.classOf(z) != cache.Staged {
		t.Fatal("a block that is still shown was let go")
	}
	_, err := a.names.Remove(namespace.Root, "f", false)
	a.must(err)
	w.eventually("nothing is kept of a removed file", func() bool { return a.classOf(y) == cache.Fetched && a.classOf(z) == cache.Fetched })
}

// HoldElsewhere: another device keeps the bytes until a pin elsewhere relieves it; a cached copy does not.
func TestHoldEndsByAPinOnly(t *testing.T) {
	w := newWorld(t, 3)
	a, b, c := w.all[0], w.all[1], w.all[2]
	w.net.Partition(a.id, c.id)
	w.net.Partition(b.id, c.id)
	x := sealed(1, 5000)
	e := a.write(namespace.NodeID{}, "f", x)
	w.sync()
	w.eventually("b is asked", func() bool {
		asked, err := a.HoldElsewhere(bg)
		return err == nil && len(asked) == 1
	})
	w.eventually("a is relieved", func() bool { return a.classOf(x) == cache.Fetched && b.classOf(x) == cache.Pinned })
	if asked, err := a.HoldElsewhere(bg); err != nil || asked != nil {
		t.Fatal("asked again for what is kept elsewhere", asked, err)
	}
	b.restart()
	w.net.Heal(a.id, c.id)
	w.net.Heal(b.id, c.id)
	w.sync()
	time.Sleep(3 * settleTime)
	if b.classOf(x) != cache.Pinned {
		t.Fatal("the hold ended by itself")
	}
	c.must(c.Pin(bg, e.ID, true, nil))
	w.eventually("the pin relieves the holder", func() bool { return b.classOf(x) == cache.Fetched })
	if c.classOf(x) != cache.Pinned {
		t.Fatal("and the pin itself is gone")
	}
}

// An unpinned file stays until another device keeps it, and no longer.
func TestUnpinKeepsUntilAnotherKeeps(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x := sealed(1, 5000)
	e := a.write(namespace.NodeID{}, "f", x)
	w.sync()
	b.must(b.Pin(bg, e.ID, true, nil))
	w.eventually("a is relieved", func() bool { return a.classOf(x) == cache.Fetched })
	b.must(b.Unpin(e.ID))
	time.Sleep(2 * settleTime)
	if b.classOf(x) != cache.Pinned {
		t.Fatal("the last kept copy was let go")
	}
	a.must(a.Pin(bg, e.ID, true, nil))
	w.eventually("b is relieved", func() bool { return b.classOf(x) == cache.Fetched })
	// Pinned again, it is really kept again.
	b.must(b.Pin(bg, e.ID, true, nil))
	if b.classOf(x) != cache.Pinned {
		t.Fatal("a pin that keeps nothing")
	}
}

// A file that is unpinned while it cannot be had is not brought later.
func TestUnpinEndsAFailedPin(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x := sealed(1, 5000)
	e := a.write(namespace.NodeID{}, "f", x)
	w.sync()
	w.net.Partition(a.id, b.id)
	w.eventually("offline", func() bool { return errs.Is(b.Pin(bg, e.ID, true, nil), errs.Offline) })
	b.must(b.Unpin(e.ID))
	w.net.Heal(a.id, b.id)
	time.Sleep(3 * settleTime)
	if b.classOf(x) != cache.None {
		t.Fatal("an unpinned file was fetched")
	}
	b.restart()
	time.Sleep(3 * settleTime)
	if b.classOf(x) != cache.None {
		t.Fatal("an unpinned file was fetched after a restart")
	}
}

// A failed pin is tried again when a device connects; a restart goes on with it.
func TestFailedPinIsTriedAgain(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	x, y := sealed(1, 5000), sealed(2, 5000)
	e, g := a.write(namespace.NodeID{}, "f", x), a.write(namespace.NodeID{}, "g", y)
	w.sync()
	w.net.Partition(a.id, b.id)
	for _, n := range []namespace.NodeID{e.ID, g.ID} {
		if err := b.Pin(bg, n, true, nil); !errs.Is(err, errs.Offline) {
			t.Fatal(err)
		}
	}
	w.net.Heal(a.id, b.id)
	w.eventually("it came", func() bool { return b.classOf(x) == cache.Pinned })
	w.net.Partition(a.id, b.id)
	z := sealed(3, 5000)
	h := a.write(g.ID, "", z)
	w.pull(b, a)
	b.restart()
	w.net.Heal(a.id, b.id)
	w.eventually("the newer content came", func() bool { return b.classOf(z) == cache.Pinned && slices.Contains(a.Keepers(h.Versions), b.id) })
}

// A pinned folder takes what comes into it later, and lets go of what is moved out.
func TestPinnedFolderTakesFutureFiles(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	dir, err := a.names.Create(namespace.Root, "dir", namespace.Spec{Kind: namespace.Dir, Mode: 0o755})
	a.must(err)
	w.sync()
	b.must(b.Pin(bg, dir.ID, true, nil))
	x := sealed(1, 5000)
	e := a.write(namespace.NodeID{}, "f", x)
	_, _, err = a.names.Rename(namespace.Root, "f", dir.ID, "f", 0)
	a.must(err)
	w.sync()
	w.eventually("it is pinned", func() bool { return b.classOf(x) == cache.Pinned })
	w.eventually("a is relieved", func() bool { return a.classOf(x) == cache.Fetched })
	a.must(a.Pin(bg, e.ID, true, nil))
	_, _, err = a.names.Rename(dir.ID, "f", namespace.Root, "f", 0)
	a.must(err)
	w.sync()
	w.eventually("it is let go", func() bool { return b.classOf(x) == cache.Fetched })
}

func TestNoSpaceIsSaidBeforeAnythingIsPromised(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	var bs []blocks.Sealed
	for i := range 5 {
		bs = append(bs, sealed(uint64(i), testLimit/4))
	}
	e := a.write(namespace.NodeID{}, "big", bs...)
	w.sync()
	if err := b.Pin(bg, e.ID, true, nil); !errs.Is(err, errs.NoSpace) {
		t.Fatal(err)
	}
	if _, own, _ := b.names.Placement(e.ID, b.id); own != namespace.Inherited {
		t.Fatal("the wish was recorded")
	}
	w.eventually("refused with NoSpace", func() bool {
		_, err := a.HoldElsewhere(bg)
		return errs.Is(err, errs.NoSpace)
	})
	if s := b.store.Stats(); s.Used != 0 {
		t.Fatalf("%+v", s)
	}
}

// What does not fit is told apart: a higher limit helps, or only a larger disk.
func TestNoSpaceSaysWhatIsFull(t *testing.T) {
	for name, disk := range map[string]bool{"limit": false, "disk": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			a, b := w.all[0], w.all[1]
			n := 5
			if disk { // it would fit into the limit
				n, b.floor = 1, 1<<50
				b.restart()
			}
			var bs []blocks.Sealed
			for i := range n {
				bs = append(bs, sealed(uint64(i), testLimit/4))
			}
			e := a.write(namespace.NodeID{}, "big", bs...)
			w.sync()
			err := b.Pin(bg, e.ID, true, nil)
			var none *NoRoom
			if !errs.Is(err, errs.NoSpace) || !errors.As(err, &none) || none.ByDisk() != disk {
				t.Fatalf("%v %+v", err, none)
			}
			if _, own, _ := b.names.Placement(e.ID, b.id); own != namespace.Inherited {
				t.Fatal("the wish was recorded")
			}
			w.eventually("the reason reaches who asks us to hold", func() bool {
				_, err := a.HoldElsewhere(bg)
				return errs.Is(err, errs.NoSpace) && strings.Contains(err.Error(), "disk") == disk
			})
		})
	}
}

// Pinning what is here and unsent takes no further room.
func TestPinOfWhatWasWrittenHereNeedsNoRoom(t *testing.T) {
	w := newWorld(t, 1)
	a := w.all[0]
	e := a.write(namespace.NodeID{}, "big", sealed(1, testLimit/4), sealed(2, testLimit/4), sealed(3, testLimit/4))
	a.must(a.Pin(bg, e.ID, true, nil))
}

// Conflict copies are kept like the file itself, on the devices that keep it.
func TestConflictCopiesAreKept(t *testing.T) {
	w := newWorld(t, 3)
	a, b, c := w.all[0], w.all[1], w.all[2]
	base, x, y := sealed(1, 5000), sealed(2, 5000), sealed(3, 5000)
	e := a.write(namespace.NodeID{}, "f", base)
	w.sync()
	c.must(c.Pin(bg, e.ID, true, nil))
	w.net.Partition(a.id, b.id)
	w.net.Partition(a.id, c.id)
	w.net.Partition(b.id, c.id)
	a.write(e.ID, "", x)
	b.write(e.ID, "", y)
	for _, p := range [][2]*dev{{a, b}, {a, c}, {b, c}} {
		w.net.Heal(p[0].id, p[1].id)
	}
	w.sync()
	w.eventually("the keeper of the file has both", func() bool { return c.classOf(x) == cache.Pinned && c.classOf(y) == cache.Pinned })
	w.eventually("both writers are relieved", func() bool { return a.classOf(x) != cache.Staged && b.classOf(y) != cache.Staged })
	// The conflict goes on as two files when somebody edits one of them.
	ents, err := a.names.List(namespace.Root, 0, 10)
	a.must(err)
	if len(ents) != 2 {
		t.Fatalf("%d entries", len(ents))
	}
	z := sealed(4, 5000)
	a.write(e.ID, "", z)
	w.sync()
	for range 8 {
		time.Sleep(settleTime / 2)
		for _, d := range w.all {
			d.evict(x.Digest, y.Digest, z.Digest)
		}
	}
	w.checkNothingLost(t)
}

// checkNothingLost looks at every content that any device shows: each of its blocks must be somewhere.
func (w *world) checkNothingLost(t *testing.T) {
	t.Helper()
	for _, d := range w.all {
		if d.stop == nil {
			continue
		}
		ents, err := d.names.List(namespace.Root, 0, 1000)
		d.must(err)
		for _, ent := range ents {
			for g := range d.digests(bg, ent.Content, Here) {
				if !w.somewhere(g) && !w.superseded(d, ent.ID, ent.Content) {
					t.Fatalf("%s: a block of %s is nowhere", d.id.Short(), ent.Name)
				}
			}
		}
	}
}

func (w *world) somewhere(g blocks.Digest) bool {
	return slices.ContainsFunc(w.all, func(o *dev) bool { return o.stop != nil && o.class(g) != cache.None })
}

// superseded reports whether some device knows that a content is no longer shown.
func (w *world) superseded(d *dev, n namespace.NodeID, c blocks.Content) bool {
	return slices.ContainsFunc(w.all, func(o *dev) bool {
		cs, _ := o.names.Contents(n)
		return o != d && !slices.Contains(cs, c)
	})
}

// Three devices write, pin, unpin, free, remove, hold, lose answers, part, and restart, with a
// cache that forgets at once what is not kept: no block that is shown is ever lost.
func TestTheLastKeptCopyIsNeverDropped(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			randomHistory(t, seed)
		})
	}
}

func randomHistory(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 77))
	w := newWorld(t, 3)
	var mu sync.Mutex
	lossy := rand.New(rand.NewPCG(seed, 78))
	w.silent.Store(new(func() bool {
		mu.Lock()
		defer mu.Unlock()
		time.Sleep(time.Duration(lossy.IntN(5)) * time.Millisecond)
		return lossy.IntN(4) == 0
	}))
	pool := map[blocks.Digest]blocks.Sealed{}
	take := func() (out []blocks.Sealed) {
		for range 1 + rng.IntN(3) { // of a few: files share blocks
			b := sealed(rng.Uint64N(12), 200)
			pool[b.Digest] = b
			out = append(out, b)
		}
		return out
	}
	var asking sync.WaitGroup
	for step := range 60 {
		d := w.all[rng.IntN(3)]
		ents, err := d.names.List(namespace.Root, 0, 100)
		d.must(err)
		var e namespace.Entry
		if len(ents) > 0 {
			e = ents[rng.IntN(len(ents))].Entry
		}
		switch op := rng.IntN(20); {
		case op < 3 || len(ents) == 0:
			d.write(namespace.NodeID{}, fmt.Sprintf("f%d", step), take()...)
		case op < 5 && e.Conflict == nil:
			d.write(e.ID, "", take()...)
		case op < 8:
			asking.Go(func() { _ = d.Pin(bg, e.ID, false, nil) })
		case op < 11:
			asking.Go(func() { _ = d.Unpin(e.ID) })
		case op < 14: // everybody at once
			for _, o := range w.all {
				asking.Go(func() {
					ctx, cancel := context.WithTimeout(bg, 500*time.Millisecond)
					defer cancel()
					_, _ = o.free(ctx, e)
				})
			}
		case op < 15:
			_, err := d.names.Remove(namespace.Root, e.Name, false)
			d.must(err)
		case op < 17:
			asking.Go(func() { _, _ = d.HoldElsewhere(bg) })
		case op < 18:
			o := w.all[rng.IntN(3)]
			w.net.Partition(d.id, o.id)
		case op < 19:
			for _, o := range w.all {
				w.net.Heal(d.id, o.id)
			}
		case step%3 == 0:
			asking.Wait()
			d.restart()
		}
		if rng.IntN(3) > 0 {
			w.sync()
		}
		time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
		for _, o := range w.all {
			o.evict(slices.Collect(maps.Keys(w.everyBlock(pool)))...)
		}
		if step%5 == 0 {
			w.checkNothingLost(t)
		}
	}
	asking.Wait()
	w.checkNothingLost(t)
}

func (w *world) everyBlock(pool map[blocks.Digest]blocks.Sealed) map[blocks.Digest]bool {
	out := map[blocks.Digest]bool{}
	for d := range pool {
		out[d] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for d := range w.parts {
		out[d] = true
	}
	return out
}
