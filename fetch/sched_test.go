package fetch_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
)

// The decisions of the scheduler, each in a small world of its own.

const (
	kib = 1 << 10
	mib = 1 << 20
)

func lan(rtt time.Duration, rate int64) way    { return way{path: fetch.LAN, rtt: rtt, rate: rate} }
func direct(rtt time.Duration, rate int64) way { return way{path: fetch.Direct, rtt: rtt, rate: rate} }

// fetchAll brings all of ds, and fails the test when one does not come.
func (n *network) fetchAll(t *testing.T, g *fetch.Group, p fetch.Priority, ds []blocks.Digest) {
	err := g.FetchAll(t.Context(), p, slices.Values(ds), func(_ blocks.Digest, err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// inOrder checks that each of ds was asked for, and in that order but for those of the same moment.
func (n *network) inOrder(t *testing.T, ds []blocks.Digest) {
	t.Helper()
	at := map[blocks.Digest]time.Duration{}
	for _, a := range n.asked() {
		if _, again := at[a.block]; !again {
			at[a.block] = a.at
		}
	}
	if !slices.IsSortedFunc(ds, func(a, b blocks.Digest) int { return int(at[a] - at[b]) }) {
		t.Error("not asked for in their order")
	}
	if n := slices.IndexFunc(ds, func(d blocks.Digest) bool { _, ok := at[d]; return !ok }); n >= 0 {
		t.Errorf("block %d was never asked for", n)
	}
}

func (n *network) get(t *testing.T, g *fetch.Group, d blocks.Digest) time.Duration {
	t.Helper()
	start := time.Now()
	if _, err := g.Get(t.Context(), d, fetch.OnDemand); err != nil {
		t.Errorf("%v; asked were%s", err, n.trail(d))
	}
	return time.Since(start)
}

// A small pin that comes later does not stand behind a large one: they take turns, by bytes, each in its order.
func TestFilesTakeTurns(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 10*mib)}, fetch.Limits{}, func(t *testing.T, n *network) {
		large, small := n.big(160, 256*kib), n.big(64, 64*kib)
		var wg sync.WaitGroup
		wg.Go(func() { n.fetchAll(t, n.fetcher.Group(), fetch.Pin, large) })
		time.Sleep(500 * time.Millisecond)
		before := n.count(0, 0)
		n.fetchAll(t, n.fetcher.Group(), fetch.Pin, small)
		// While the small file's 4 MiB went, about as many bytes of the large one did, besides what was
		// under way already.
		between := n.count(0, 0) - before - len(small)
		if between < 8 || between > 24 {
			t.Errorf("%d blocks of the large file went between", between)
		}
		wg.Wait()
		n.inOrder(t, large)
	})
}

// Who is known to have a file is asked first, even where others are nearer; a word that is wrong is forgotten.
func TestKnownHoldersFirst(t *testing.T) {
	ways := []way{lan(time.Millisecond, 0), lan(2*time.Millisecond, 0), lan(3*time.Millisecond, 0), lan(4*time.Millisecond, 0)}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.blocks(0, 60)
		for i := range 3 {
			n.peers[i].has = func(blocks.Digest) bool { return false }
		}
		g := n.fetcher.Group(n.peers[3].id)
		for _, d := range ds[:20] {
			n.get(t, g, d)
		}
		if n.count(0, 3) != 20 || len(n.asked()) != 20 {
			t.Errorf("%d questions, %d of them to the holder", len(n.asked()), n.count(0, 3))
		}
		at := n.now() + 1
		time.Sleep(time.Millisecond)
		g = n.fetcher.Group(n.peers[0].id) // it says so, and has not
		for _, d := range ds[20:60] {
			n.get(t, g, d)
		}
		if wrong := n.count(at, 0); wrong < 1 || wrong > 6 {
			t.Errorf("a holder that has nothing was asked %d times", wrong)
		}
	})
}

// Nothing comes over the internet while a device on this network has it, however busy that is; not even when the
// way over the internet is the faster one.
func TestTheInternetIsSpared(t *testing.T) {
	ways := []way{lan(5*time.Millisecond, 2*mib), direct(8*time.Millisecond, 100*mib), {path: fetch.Relay, rtt: 20 * time.Millisecond}}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.big(100, 64*kib)
		var wg sync.WaitGroup
		wg.Go(func() { n.fetchAll(t, n.fetcher.Group(), fetch.Pin, ds[:60]) })
		wg.Go(func() { n.fetchAll(t, n.fetcher.Group(), fetch.OnDemand, ds[60:90]) })
		for _, d := range ds[90:] {
			n.get(t, n.fetcher.Group(), d)
		}
		wg.Wait()
		if far := n.count(0, 1, 2); far != 0 {
			t.Errorf("%d questions over the internet", far)
		}
	})
}

// What a near device has not is asked of a far one, after one question for each block that nobody can tell about;
// the near one is asked again for another file.
func TestTheInternetIsUsedForWhatIsNotNear(t *testing.T) {
	ways := []way{lan(time.Millisecond, 0), direct(20*time.Millisecond, 0)}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.blocks(0, 80)
		n.peers[0].has = func(d blocks.Digest) bool { return slices.Contains(ds[40:], d) }
		g := n.fetcher.Group()
		for _, d := range ds[:40] {
			n.get(t, g, d)
		}
		if near := n.count(0, 0); near < 1 || near > 10 {
			t.Errorf("a device that has nothing of a file was asked %d times", near)
		}
		far := n.count(0, 1)
		g = n.fetcher.Group()
		for _, d := range ds[40:] {
			n.get(t, g, d)
		}
		if n.count(0, 1) != far {
			t.Error("another file came over the internet though it is near")
		}
	})
}

// A near device that falls silent does not hold up what is queued behind it, and is used again when it wakes.
func TestASilentNeighbourIsReplaced(t *testing.T) {
	ways := []way{lan(time.Millisecond, 20*mib), direct(20*time.Millisecond, 20*mib)}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.big(600, 32*kib)
		g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
		n.fetchAll(t, g, fetch.Pin, ds[:20])
		if n.count(0, 1) != 0 {
			t.Error("over the internet without need")
		}
		n.set(0, func(w *way) { w.asleep = true })
		start := time.Now()
		n.fetchAll(t, g, fetch.Pin, ds[20:200])
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("a neighbour that fell asleep cost %v", took)
		}
		var worst time.Duration
		for _, d := range ds[200:300] {
			worst = max(worst, n.get(t, g, d))
		}
		if worst > 2500*time.Millisecond {
			t.Errorf("a reader waited %v for a neighbour that sleeps", worst)
		}
		n.set(0, func(w *way) { w.asleep = false })
		time.Sleep(time.Minute)
		n.fetchAll(t, g, fetch.Pin, ds[300:310])
		at := n.now()
		time.Sleep(time.Millisecond)
		n.fetchAll(t, g, fetch.Pin, ds[310:])
		if far := n.count(at, 1); far > 0 {
			t.Errorf("%d questions over the internet though the neighbour is awake", far)
		}
	})
}

// What was measured on one kind of way says nothing of another.
func TestANewWayIsMeasuredAnew(t *testing.T) {
	ways := []way{lan(time.Millisecond, 100*mib), direct(30*time.Millisecond, 4*mib)}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.big(260, 64*kib)
		g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
		n.fetchAll(t, g, fetch.Pin, ds[:100])
		n.set(0, func(w *way) { *w = direct(30*time.Millisecond, 100*kib) })
		at := n.now()
		n.fetchAll(t, g, fetch.Pin, ds[100:])
		// 10 MiB, of which this way carries 100 KiB in each second: the other takes about 2.5 s.
		if slow := n.count(at, 0); slow > 20 {
			t.Errorf("%d blocks were asked for over a slow way because it was a fast cable once", slow)
		}
		if took := n.now() - at; took > 5*time.Second {
			t.Error("took", took)
		}
	})
}

// Rates fall as they rise, within seconds, and what was asked of a device that became slow is asked of another one
// when that has time.
func TestASlowerWayIsNoticed(t *testing.T) {
	const size = 32 * kib
	ways := []way{lan(time.Millisecond, 40*mib), lan(2*time.Millisecond, 6*mib)}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.big(2400, size) // 75 MiB
		g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
		var wg sync.WaitGroup
		wg.Go(func() { n.fetchAll(t, g, fetch.Pin, ds) })
		time.Sleep(600 * time.Millisecond)
		n.set(0, func(w *way) { w.rate = mib / 4 })
		at := n.now()
		left := time.Duration(len(ds)-len(n.asked())) * size * time.Second / (6 * mib) // at the other's rate
		time.Sleep(3 * time.Second)
		later := n.now()
		wg.Wait()
		if more := n.count(later, 0); more > 2 {
			t.Errorf("%d more blocks asked of a device that has too many to bring already", more)
		}
		if took := n.now() - at; took > left+3*time.Second {
			t.Errorf("took %v, and the other device %v", took, left)
		}
		n.set(0, func(w *way) { w.rate = 40 * mib })
		more := n.blocks(0, 8)
		n.fetchAll(t, g, fetch.Pin, more)
		ds = n.big(640, size+1)
		at = n.now()
		n.fetchAll(t, g, fetch.Pin, ds)
		if fast, other := n.count(at, 0), n.count(at, 1); fast < 2*other {
			t.Errorf("%d blocks asked of the device that is fast again, %d of the other", fast, other)
		}
	})
}

// Three devices with a third of the bandwidth each bring nearly as much as one that has all of it.
func TestSourcesAddUp(t *testing.T) {
	for _, p := range []fetch.Priority{fetch.ReadAhead, fetch.Pin, fetch.OnDemand} {
		for _, near := range []fetch.Path{fetch.LAN, fetch.Direct} {
			w := way{path: near, rtt: 10 * time.Millisecond, rate: 5 * mib}
			w2, w3 := w, w
			w2.rtt, w3.rtt = 20*time.Millisecond, 40*time.Millisecond
			simulate(t, 1, []way{w, w2, w3}, fetch.Limits{}, func(t *testing.T, n *network) {
				ds := n.big(960, 64*kib) // 60 MiB: 4 s at 15 MiB/s
				start := time.Now()
				n.fetchAll(t, n.fetcher.Group(), p, ds)
				share := 4 / time.Since(start).Seconds()
				t.Logf("%v over %v: %.3f of the sum", p, near, share)
				if share < 0.9 {
					t.Errorf("%v over %v: only %.2f of the sum", p, near, share)
				}
				if extra := len(n.asked()) - len(ds); extra > len(ds)/100 {
					t.Errorf("%d questions too many", extra)
				}
			})
		}
	}
}

// A device is given up on for a block after as long as 95 % of its own answers took, be that short or long.
func TestHedgedAtItsOwnQuantile(t *testing.T) {
	for _, usual := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond} {
		first := way{path: fetch.Direct, rtt: usual / 2, slow: usual}
		simulate(t, 1, []way{first, direct(2*usual, 0)}, fetch.Limits{}, func(t *testing.T, n *network) {
			ds := n.blocks(0, 200)
			g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
			n.connect(1, false)
			var took []time.Duration
			for _, d := range ds[:150] {
				took = append(took, n.get(t, g, d))
			}
			took = took[50:]
			slices.Sort(took)
			p95 := took[95]
			n.connect(1, true)
			n.set(0, func(w *way) { w.asleep = true })
			before := len(n.asked())
			n.get(t, g, ds[199])
			asks := n.asked()[before:]
			if len(asks) != 2 || asks[0].dev != 0 || asks[1].dev != 1 {
				t.Fatalf("asked %+v", asks)
			}
			waited := asks[1].at - asks[0].at
			t.Logf("95 %% of the answers within %v, hedged after %v", p95, waited)
			if waited < p95*8/10 || waited > p95*5/4 {
				t.Errorf("hedged after %v, and 95 %% of its answers came within %v", waited, p95)
			}
		})
	}
}

// However many answers are late, what is asked for twice stays within its budget.
func TestHedgesAreFew(t *testing.T) {
	const size = 64 * kib
	first := way{path: fetch.LAN, rtt: 2 * time.Millisecond, rate: 200 * mib, slow: time.Millisecond, tail: 0.06, tailBy: 700 * time.Millisecond}
	second := first
	second.rtt = 3 * time.Millisecond
	simulate(t, 1, []way{first, second}, fetch.Limits{}, func(t *testing.T, n *network) {
		const count = 2000
		g, late := n.fetcher.Group(), 0
		for _, d := range n.big(count, size) {
			if n.get(t, g, d) > 500*time.Millisecond {
				late++
			}
		}
		extra := len(n.asked()) - count
		t.Logf("%d of %d were asked for twice, %d were late all the same", extra, count, late)
		if most := count/20 + 2*mib/size; extra > most || extra < 50 || late > count*4/100 {
			t.Errorf("%d of %d were asked for twice, %d were late all the same", extra, count, late)
		}
	})
	simulate(t, 1, []way{lan(150*time.Millisecond, 0), lan(151*time.Millisecond, 0)}, fetch.Limits{}, func(t *testing.T, n *network) {
		for i := range n.peers {
			n.set(i, func(w *way) { w.rtt = time.Millisecond; w.slow = 400 * time.Millisecond }) // and the fetcher does not know it
		}
		var wg sync.WaitGroup
		ds := n.big(400, size)
		g := n.fetcher.Group()
		for _, d := range ds {
			wg.Go(func() { n.get(t, g, d) })
		}
		wg.Wait()
		if extra := len(n.asked()) - len(ds); extra > len(ds)/20+2*mib/size || extra < 5 {
			t.Errorf("%d of %d were asked for twice", extra, len(ds))
		}
	})
}

// However many readers there are, what is under way for them fits into the budget, and all get their blocks.
func TestManyReadersWithinTheBudget(t *testing.T) {
	for _, ways := range [][]way{{lan(20*time.Millisecond, 0)}, {lan(time.Millisecond, 64*kib), direct(time.Millisecond, 0), {path: fetch.LAN, asleep: true, rtt: time.Millisecond}}} {
		limits := fetch.Limits{UrgentBytes: 3 * mib}
		simulate(t, 1, ways, limits, func(t *testing.T, n *network) {
			ds := n.blocks(0, manyPins)
			var wg sync.WaitGroup
			for _, d := range ds {
				wg.Go(func() { n.get(t, n.fetcher.Group(), d) })
			}
			wg.Wait()
			// Before the first block has come, a block may be as large as blocks get.
			first, all := 0, n.asked()
			for first < len(all) && all[first].at == all[0].at {
				first++
			}
			if first > 3 {
				t.Errorf("%d blocks were asked for before it was known how large they are", first)
			}
			if n.most[0] > limits.UrgentBytes {
				t.Errorf("%d bytes at once", n.most[0])
			}
		})
	}
	// Second attempts count too.
	simulate(t, 1, []way{lan(time.Millisecond, 0), lan(time.Millisecond, 0)}, fetch.Limits{UrgentBytes: 3 * mib}, func(t *testing.T, n *network) {
		ds := n.big(500, 128*kib)
		for _, d := range ds[:300] {
			n.get(t, n.fetcher.Group(), d)
		}
		for i := range n.peers {
			n.set(i, func(w *way) { w.tail, w.tailBy = 1, 300*time.Millisecond })
		}
		var wg sync.WaitGroup
		for _, d := range ds[300:] {
			wg.Go(func() { n.get(t, n.fetcher.Group(), d) })
		}
		wg.Wait()
		if n.most[0] > 3*mib || n.most[0] < 2*mib || len(n.asked()) == len(ds) {
			t.Errorf("%d bytes at once, %d questions", n.most[0], len(n.asked()))
		}
	})
}

// What is pinned, and what is read ahead, has a budget too, over all devices.
func TestPinsAndReadAheadWithinTheirBudget(t *testing.T) {
	for prio, most := range map[fetch.Priority]int64{fetch.Pin: 4 * mib, fetch.ReadAhead: 8 * mib} {
		w := direct(200*time.Millisecond, 100*mib)
		simulate(t, 1, []way{w, w, w, w}, fetch.Limits{InFlightBytes: 4 * mib}, func(t *testing.T, n *network) {
			n.fetchAll(t, n.fetcher.Group(), prio, n.big(600, 64*kib))
			if n.most[1] > most || n.most[1] < most/2 {
				t.Errorf("%v: %d bytes at once", prio, n.most[1])
			}
		})
	}
}

// Readers beyond the budget are served in the order in which they came, and the first is not passed by later ones.
func TestReadersBeyondTheBudgetQueue(t *testing.T) {
	simulate(t, 1, []way{lan(10*time.Millisecond, 0)}, fetch.Limits{UrgentBytes: 2 * mib}, func(t *testing.T, n *network) {
		ds := n.blocks(0, 200)
		var wg sync.WaitGroup
		for _, d := range ds {
			wg.Go(func() {
				if _, err := n.fetcher.GetBlock(t.Context(), d); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(time.Microsecond)
		}
		wg.Wait()
		n.inOrder(t, ds)
	})
}

// A device that vanishes in the middle of a file is replaced, and one that lies is not asked for that block again.
func TestLiarsAndLossesInTheMiddleOfAFile(t *testing.T) {
	ways := []way{lan(time.Millisecond, 10*mib), lan(2*time.Millisecond, 10*mib), lan(3*time.Millisecond, 10*mib)}
	ways[0].lies, ways[1].lost = 0.3, 0.1
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.big(300, 64*kib)
		go func() { time.Sleep(300 * time.Millisecond); n.connect(2, false) }()
		n.fetchAll(t, n.fetcher.Group(), fetch.Pin, ds)
		lied := map[blocks.Digest]bool{}
		for _, a := range n.asked() {
			if a.dev != 0 {
				continue
			}
			if lied[a.block] {
				t.Error("a liar was asked again")
			}
			lied[a.block] = true // its answer is final, whatever it was
		}
		if n.count(0, 2) == 0 || n.count(n.begun.Sub(n.begun)+400*time.Millisecond, 2) > 0 {
			t.Error("the device that vanished was asked later, or never")
		}
	})
}

// Priorities are served in their order, whatever the order in which things were wanted.
func TestOrderOfPriorities(t *testing.T) {
	simulate(t, 1, []way{lan(10*time.Millisecond, 2*mib)}, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.big(250, 32*kib)
		for p := fetch.Background; ; p-- {
			n.fetcher.Want(p, ds[int(p)*50:int(p)*50+50]...)
			time.Sleep(time.Millisecond)
			if p == fetch.OnDemand {
				break
			}
		}
		at := n.now()
		time.Sleep(20 * time.Second)
		last := fetch.OnDemand
		for _, a := range n.asked() {
			if a.at < at {
				continue
			}
			if a.prio < last {
				t.Fatalf("%v after %v", a.prio, last)
			}
			last = a.prio
		}
		if last != fetch.Background || len(n.asked()) != len(ds) {
			t.Errorf("%d questions, the last for %v", len(n.asked()), last)
		}
	})
}

// What is cancelled gives its place to others at once.
func TestCancelledInterestFreesItsPlace(t *testing.T) {
	simulate(t, 1, []way{lan(50*time.Millisecond, mib)}, fetch.Limits{UrgentBytes: 2 * mib}, func(t *testing.T, n *network) {
		ds := n.big(210, 32*kib)
		w := n.fetcher.Want(fetch.Pin, ds[:100]...)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, d := range ds[100:200] {
			wg.Go(func() {
				if _, err := n.fetcher.GetBlock(ctx, d); err != nil && !errs.Is(err, errs.Interrupted) {
					t.Error(err)
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		cancel()
		w.Cancel()
		wg.Wait()
		before := len(n.asked())
		for _, d := range ds[200:] {
			n.get(t, n.fetcher.Group(), d)
		}
		if asked := len(n.asked()) - before; asked != 10 || before > 100 {
			t.Errorf("%d before, %d after", before, asked)
		}
	})
}

// While somebody reads, a pin fills the way to the device and no queue: what is on the way comes before what the
// reader asks for next. A second after he has stopped, it goes on as before.
func TestAPinStandsBackWhileSomebodyReads(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 25e6)}, fetch.Limits{}, func(t *testing.T, n *network) {
		large, read := n.big(400, 256<<10), n.big(20, 256<<10+1)
		done := make(chan struct{})
		go func() { defer close(done); n.fetchAll(t, n.fetcher.Group(), fetch.Pin, large) }()
		time.Sleep(200 * time.Millisecond)
		alone := n.fetcher.Ranking()[0].Requests
		g, most := n.fetcher.Group(), 0
		for i, d := range read {
			n.get(t, g, d)
			if i > len(read)/2 { // what was under way has come
				most = max(most, n.fetcher.Ranking()[0].Requests)
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(1500 * time.Millisecond)
		again := n.fetcher.Ranking()[0].Requests
		if alone < 8 || most > 3 || again < 8 {
			t.Errorf("%d requests under way before, %d beside a reader, %d afterwards", alone, most, again)
		}
		<-done
	})
}
