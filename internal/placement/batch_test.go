package placement

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// folder writes files of a few small blocks on d, which all devices then know.
func (w *world) folder(d *dev, files int, rng *rand.Rand) (ents []namespace.Entry, ds []blocks.Digest) {
	w.t.Helper()
	for i := range files {
		bs := []blocks.Sealed{sealed(uint64(1000+i), 100)}
		if rng != nil { // some blocks of several files
			for range rng.IntN(3) {
				bs = append(bs, sealed(rng.Uint64N(10), 100))
			}
		}
		e := d.write(namespace.NodeID{}, fmt.Sprintf("f%03d", i), bs...)
		for g := range d.digests(bg, e.Content, Here) {
			ds = append(ds, g)
		}
		ents = append(ents, e)
	}
	w.sync()
	return ents, ds
}

func (d *dev) pinAll(ents []namespace.Entry) {
	d.w.t.Helper()
	for _, e := range ents {
		d.must(d.Pin(bg, e.ID, true, nil))
	}
}

// Who frees a folder asks about all of its files at once, and so does the writer of many files that another device
// keeps by now.
func TestManyFilesAreOneQuestion(t *testing.T) {
	const files, few = 150, 3 // it may have been at work
	w := newWorld(t, 2)
	a, b := w.all[0], w.all[1]
	ents, ds := w.folder(a, files, nil)
	w.onTheWay.Store(new(func(context.Context, *dev, *dev, []exchange.Leave) ([][]bool, error) {
		return nil, errs.E("test", errs.Timeout, "", nil)
	}))
	b.must(b.Pin(bg, namespace.Root, true, nil))
	w.onTheWay.Store(nil)
	a.asked.Store(0)
	a.tryAllReleases()
	w.eventually("the writer is relieved of all", func() bool { return len(a.owners(cache.Written)) == 0 })
	if n := a.asked.Load(); n > few {
		t.Errorf("%d messages relieved the writer of %d files", n, files)
	}
	a.evict(ds...)
	b.asked.Store(0)
	freed := 0
	b.Free(bg, ents, func(_ namespace.Entry, f Freed, err error) {
		if err == nil {
			freed++
		}
	})
	if freed != 0 || b.asked.Load() > few {
		t.Fatalf("%d files were freed that nobody else keeps, by %d messages", freed, b.asked.Load())
	}
	a.must(a.Pin(bg, namespace.Root, true, nil))
	b.asked.Store(0)
	b.Free(bg, ents, func(_ namespace.Entry, f Freed, err error) {
		if err == nil && f.Blocks == 1 {
			freed++
		}
	})
	if freed != files || b.asked.Load() > few {
		t.Errorf("%d files of %d were freed, by %d messages", freed, files, b.asked.Load())
	}
}

// mail is what becomes of messages on the way: lost, their answers lost, late, repeated, and in another order.
type mail struct {
	mu  sync.Mutex
	rng *rand.Rand
	wg  sync.WaitGroup
}

func (m *mail) chance(n int) int { m.mu.Lock(); defer m.mu.Unlock(); return m.rng.IntN(n) }

func (m *mail) deliver(ctx context.Context, from, to *dev, ls []exchange.Leave) ([][]bool, error) {
	lost := errs.E("test", errs.Timeout, "", nil)
	copies := slices.Clone(ls)
	later := func() {
		m.wg.Go(func() {
			time.Sleep(time.Duration(m.chance(30)) * time.Millisecond)
			to.Grant(from.id, copies)
		})
	}
	time.Sleep(time.Duration(m.chance(5)) * time.Millisecond)
	switch m.chance(8) {
	case 0: // it never arrives
		return nil, lost
	case 1: // it arrives when nobody waits any more
		later()
		return nil, lost
	case 2: // the answer is lost
		to.Grant(from.id, ls)
		return nil, lost
	case 3: // it arrives once more, later
		later()
	case 4: // the answer is late: others overtake it
		out := to.Grant(from.id, ls)
		time.Sleep(time.Duration(m.chance(30)) * time.Millisecond)
		return out, ctx.Err()
	case 5: // it arrives twice
		to.Grant(from.id, ls)
	}
	return to.Grant(from.id, ls), nil
}

// Two devices free the same files at the same time, again and again, and messages about many files are lost, repeated
// and overtake each other: the last kept copy of no block ever goes.
func TestBatchesLostRepeatedReordered(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 5))
			w := newWorld(t, 3)
			m := &mail{rng: rand.New(rand.NewPCG(seed, 6))}
			ents, ds := w.folder(w.all[0], 30, rng)
			w.onTheWay.Store(new(m.deliver))
			freed := 0
			for round := range 6 {
				keepers := rng.Perm(3)[:2+rng.IntN(2)]
				for _, k := range keepers {
					w.all[k].pinAll(ents)
				}
				var both sync.WaitGroup
				var mu sync.Mutex
				for _, k := range keepers[:2] {
					some := ents[rng.IntN(10) : 20+rng.IntN(10)]
					both.Go(func() {
						ctx, cancel := context.WithTimeout(bg, 300*time.Millisecond)
						defer cancel()
						w.all[k].Free(ctx, some, func(_ namespace.Entry, _ Freed, err error) {
							mu.Lock()
							defer mu.Unlock()
							if err == nil {
								freed++
							}
						})
					})
					if rng.IntN(3) == 0 {
						one := ents[rng.IntN(len(ents))]
						both.Go(func() { _ = w.all[k].Unpin(one.ID) })
					}
				}
				both.Wait()
				for _, d := range w.all {
					d.evict(ds...)
				}
				w.checkNothingLost(t)
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			m.wg.Wait()
			if freed < 10 {
				t.Errorf("only %d files were freed: the test shows nothing", freed)
			}
		})
	}
}
