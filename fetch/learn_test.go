package fetch_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
)

// What the scheduler learns, and what it makes of it.

// A device that answers slowly is left for a quicker one though the way to it is shorter, also when the quicker one
// has to step in each time so that its answers are never seen, and also when it brings other things meanwhile.
func TestASlowAnswererIsLeft(t *testing.T) {
	for _, busy := range []bool{false, true} {
		simulate(t, 1, []way{lan(time.Millisecond, 0), lan(6*time.Millisecond, 0)}, fetch.Limits{}, func(t *testing.T, n *network) {
			ds, pins := n.blocks(0, 300), n.blocks(300, 4000)
			n.peers[1].has = func(d blocks.Digest) bool { return slices.Contains(ds, d) }
			g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
			for _, d := range ds[:100] {
				n.get(t, g, d)
			}
			if n.count(0, 1) > 5 {
				t.Fatal("the nearer one was not asked first")
			}
			n.set(0, func(w *way) { w.tail, w.tailBy = 1, 400*time.Millisecond })
			if busy {
				defer n.fetcher.Group(n.peers[0].id).Want(fetch.Pin, pins...).Cancel()
				time.Sleep(time.Second)
			}
			readers := func(ds []blocks.Digest) (slow int) {
				before := len(n.asked())
				for _, d := range ds {
					n.get(t, g, d)
				}
				for _, a := range n.asked()[before:] {
					if a.dev == 0 && a.prio == fetch.OnDemand {
						slow++
					}
				}
				return slow
			}
			readers(ds[100:140])
			if slow := readers(ds[140:]); slow > 16 {
				t.Errorf("busy %v: the slow one was asked for %d of 160 blocks", busy, slow)
			}
		})
	}
}

// What counts is how long answers take, not only the way: a device whose disk is slow is left for one that is farther.
func TestAnswersCountMoreThanRoundTrips(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 0), lan(6*time.Millisecond, 0)}, fetch.Limits{}, func(t *testing.T, n *network) {
		g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
		for _, d := range n.blocks(0, 60) {
			n.get(t, g, d)
		}
		n.set(0, func(w *way) { w.tail, w.tailBy = 1, 60*time.Millisecond })
		n.connect(1, false) // so that it shows
		for _, d := range n.blocks(60, 120) {
			n.get(t, g, d)
		}
		n.connect(1, true)
		before := n.count(0, 0)
		for _, d := range n.blocks(120, 180) {
			n.get(t, g, d)
		}
		if slow := n.count(0, 0) - before; before != 120 || slow > 6 {
			t.Errorf("the slow one was asked %d times, and then for %d of 60", before, slow)
		}
	})
}

// Answers that were overtaken count as late: a device whose every third answer is late is known for it, though none
// of those was ever waited for to the end.
func TestOvertakenAnswersAreKnownToBeLate(t *testing.T) {
	ways := []way{{path: fetch.LAN, rtt: time.Millisecond, tail: 0.3, tailBy: 500 * time.Millisecond}, lan(8*time.Millisecond, 0)}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
		for _, d := range n.blocks(0, 60) {
			n.get(t, g, d)
		}
		for _, r := range n.fetcher.Ranking() {
			if r.Device == n.peers[0].id && r.P95 < 50*time.Millisecond {
				t.Errorf("95 %% within %v", r.P95)
			}
		}
	})
}

// A reader whose block was not where it was looked for first goes before those that came later.
func TestWhoLookedInVainGoesFirst(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 0), lan(9*time.Millisecond, 0)}, fetch.Limits{UrgentBytes: 3 * mib}, func(t *testing.T, n *network) {
		ds := n.blocks(0, 300)
		n.peers[0].has = func(d blocks.Digest) bool { return d != ds[1] }
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
		at := slices.IndexFunc(n.asked(), func(a ask) bool { return a.dev == 1 && a.block == ds[1] })
		if at < 0 || at > 30 {
			t.Errorf("asked of the second device after %d others", at)
		}
	})
}

// One that often fails is asked less than one that does not.
func TestAnUnreliableDeviceIsAskedLess(t *testing.T) {
	ways := []way{{path: fetch.LAN, rtt: 4 * time.Millisecond, lost: 0.5}, lan(5*time.Millisecond, 0)}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
		for _, d := range n.blocks(0, 200) {
			n.get(t, g, d)
		}
		if bad := n.count(0, 0); bad > 20 || bad == 0 {
			t.Errorf("a device that fails half the time was asked %d times of 200", bad)
		}
	})
}

// Small work on a fast way does not make it look slow.
func TestLittleWorkSaysNothingOfTheRate(t *testing.T) {
	simulate(t, 1, []way{direct(50*time.Millisecond, 40*mib)}, fetch.Limits{}, func(t *testing.T, n *network) {
		n.fetchAll(t, n.fetcher.Group(), fetch.Pin, n.big(600, 64*kib))
		before := n.fetcher.Ranking()[0].Rate
		for _, d := range n.blocks(0, 100) {
			n.get(t, n.fetcher.Group(), d)
			time.Sleep(100 * time.Millisecond)
		}
		if after := n.fetcher.Ranking()[0].Rate; before < 20*mib || after < before*0.9 {
			t.Errorf("%.1f MiB/s, then %.1f", before/mib, after/mib)
		}
	})
}

// A relay does not stand in for a direct way that is merely busy.
func TestARelayIsSpared(t *testing.T) {
	ways := []way{direct(20*time.Millisecond, 2*mib), {path: fetch.Relay, rtt: 20 * time.Millisecond, rate: mib}}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		n.fetchAll(t, n.fetcher.Group(n.peers[0].id, n.peers[1].id), fetch.Pin, n.big(100, 64*kib))
		if relayed := n.count(0, 1); relayed != 0 {
			t.Errorf("%d blocks over the relay", relayed)
		}
	})
}

// Who was reached through a relay is waited for longer than others: it may be the relay that is gone, not the device.
func TestARelayMayStartAnew(t *testing.T) {
	for path, waits := range map[fetch.Path]bool{fetch.Relay: true, fetch.Direct: false} {
		simulate(t, 1, []way{{path: path, rtt: 20 * time.Millisecond, rate: mib}}, fetch.Limits{}, func(t *testing.T, n *network) {
			ds := n.blocks(0, 3)
			n.get(t, n.fetcher.Group(n.peers[0].id), ds[0])
			n.connect(0, false)
			back := time.AfterFunc(8*time.Second, func() { n.connect(0, true) })
			if _, err := n.fetcher.GetBlock(t.Context(), ds[1]); waits != (err == nil) || err != nil && !errs.Is(err, errs.Offline) {
				t.Errorf("%v: %v", path, err)
			}
			if back.Stop() == waits {
				t.Errorf("%v: done after %v", path, n.now())
			}
			n.connect(0, false)
			gone := n.now()
			if _, err := n.fetcher.GetBlock(t.Context(), ds[2]); !errs.Is(err, errs.Offline) || n.now()-gone > 11*time.Second {
				t.Errorf("%v after %v: %v", path, n.now()-gone, err)
			}
		})
	}
}

// A neighbour is not given up for the internet before the internet could have brought the block.
func TestHedgingIsWorthIt(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 0), direct(250*time.Millisecond, 0)}, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.blocks(0, 40)
		g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
		for _, d := range ds[:30] {
			n.get(t, g, d)
		}
		n.set(0, func(w *way) { w.asleep = true })
		n.get(t, g, ds[30])
		asks := n.asked()[30:]
		if len(asks) != 2 || asks[1].dev != 1 {
			t.Fatalf("asked %+v", asks)
		}
		if waited := asks[1].at - asks[0].at; waited < 250*time.Millisecond || waited > 400*time.Millisecond {
			t.Errorf("hedged after %v", waited)
		}
	})
}

// Readers whose turn has not come wait as long as those before them are served.
func TestALongQueueOfReadersIsServed(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 128*kib)}, fetch.Limits{UrgentBytes: 2 * mib}, func(t *testing.T, n *network) {
		start := time.Now()
		var wg sync.WaitGroup
		for _, d := range n.big(100, 64*kib) {
			wg.Go(func() { n.get(t, n.fetcher.Group(), d) })
		}
		wg.Wait()
		if took := time.Since(start); took < 40*time.Second {
			t.Errorf("the queue was not long: %v", took)
		}
	})
	simulate(t, 1, []way{{path: fetch.LAN, asleep: true}}, fetch.Limits{UrgentBytes: 2 * mib}, func(t *testing.T, n *network) {
		var wg sync.WaitGroup
		for _, d := range n.blocks(0, 20) {
			wg.Go(func() {
				start := time.Now()
				if _, err := n.fetcher.GetBlock(t.Context(), d); err == nil || time.Since(start) > 25*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		}
		wg.Wait()
	})
}

// Readers learn of a neighbour that sleeps after a few blocks, not with every block.
func TestASleeperIsLeft(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 0), direct(20*time.Millisecond, 0)}, fetch.Limits{}, func(t *testing.T, n *network) {
		g := n.fetcher.Group(n.peers[0].id, n.peers[1].id)
		ds := n.blocks(0, 80)
		for _, d := range ds[:20] {
			n.get(t, g, d)
		}
		n.set(0, func(w *way) { w.asleep = true })
		before := n.count(0, 0)
		for _, d := range ds[20:] {
			n.get(t, g, d)
		}
		if asked := n.count(0, 0) - before; asked < 1 || asked > 4 {
			t.Errorf("asked %d times in %v", asked, n.now())
		}
	})
}

// A block of which it shows later what it belongs to is asked of those who are known to have that.
func TestAHintThatComesLater(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 0), lan(2*time.Millisecond, 0)}, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.blocks(0, 1)
		n.connect(0, false)
		n.connect(1, false)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := n.fetcher.GetBlock(t.Context(), ds[0]); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		n.fetcher.Group(n.peers[1].id).Want(fetch.Pin, ds...)
		synctest.Wait()
		n.mu.Lock()
		n.up[0], n.up[1] = true, true
		n.mu.Unlock()
		n.tell()
		wg.Wait()
		if asks := n.asked(); len(asks) != 1 || asks[0].dev != 1 {
			t.Errorf("asked %+v", asks)
		}
	})
}

// A reader does not wait for ever for a neighbour that brings everything but this block.
func TestANeighbourWithoutAWordOnOneBlock(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, mib), direct(20*time.Millisecond, 0)}, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.big(200, 64*kib)
		n.peers[0].mum = ds[0]
		defer n.fetcher.Group(n.peers[0].id, n.peers[1].id).Want(fetch.Pin, ds[1:]...).Cancel()
		time.Sleep(time.Second)
		took := n.get(t, n.fetcher.Group(n.peers[0].id, n.peers[1].id), ds[0])
		if took < 2*time.Second || took > 4*time.Second || n.count(0, 1) != 1 {
			t.Errorf("after %v, with %d questions over the internet", took, n.count(0, 1))
		}
	})
}

// A read is asked for at once and takes a round trip and its own bytes, whatever is queued: the devices bring it
// before pins that they were asked for earlier. A pin that is on its way becomes a read without being asked for again.
func TestAReadOvertakesPinsWithinARoundTrip(t *testing.T) {
	const size, trip = 64 * kib, 20 * time.Millisecond
	block := time.Duration(size) * time.Second / (2 * mib)
	simulate(t, 1, []way{lan(trip, 2*mib)}, fetch.Limits{}, func(t *testing.T, n *network) {
		ds := n.big(300, size)
		n.fetcher.Want(fetch.Safety, n.blocks(0, 10_000)...)
		n.fetcher.Want(fetch.Pin, ds[20:]...)
		time.Sleep(time.Second)
		for _, d := range ds[:20] {
			before := n.now()
			if took := n.get(t, n.fetcher.Group(), d); took > trip+2*block+time.Millisecond {
				t.Errorf("a read took %v", took)
			}
			if i := slices.IndexFunc(n.asked(), func(a ask) bool { return a.block == d }); n.asked()[i].at != before {
				t.Error("it was not asked for at once")
			}
		}
		for range 5 {
			all := n.asked()
			last := all[len(all)-1] // behind others on the line
			if took := n.get(t, n.fetcher.Group(), last.block); took > trip+2*block+time.Millisecond {
				t.Errorf("a pin that became a read took %v", took)
			}
		}
		seen := map[blocks.Digest]bool{}
		for _, a := range n.asked() {
			if seen[a.block] {
				t.Error("asked for twice")
			}
			seen[a.block] = true
		}
	})
}

// While somebody reads at random, what nobody waits for leaves most of the time to him, be it that it comes from another
// device near by; and it goes on at full speed when he has ended.
func TestReadersHaveMostOfTheTime(t *testing.T) {
	simulate(t, 1, []way{lan(time.Millisecond, 20*mib), lan(time.Millisecond, 20*mib)}, fetch.Limits{}, func(t *testing.T, n *network) {
		pins, reads := n.big(5000, 16*kib), n.blocks(0, 200)
		n.fetcher.Want(fetch.Pin, pins...)
		g := n.fetcher.Group(n.peers[0].id)
		time.Sleep(100 * time.Millisecond)
		delivered := func() (sum int64) {
			for _, p := range n.peers {
				p.mu.Lock()
				sum += p.sent
				p.mu.Unlock()
			}
			return sum
		}
		var from int64
		var begun time.Duration
		for i, d := range reads {
			if i == len(reads)/2 { // what had been asked for before is here
				from, begun = delivered(), n.now()
			}
			n.get(t, g, d)
			time.Sleep(time.Millisecond)
		}
		amid := float64(delivered()-from) / (n.now() - begun).Seconds()
		time.Sleep(1100 * time.Millisecond)
		from, begun = delivered(), n.now()
		time.Sleep(200 * time.Millisecond)
		after := float64(delivered()-from) / (n.now() - begun).Seconds()
		if amid < mib || amid > after/3 || after < 30*mib {
			t.Errorf("%.0f MiB/s while somebody reads, %.0f MiB/s when nobody does", amid/mib, after/mib)
		}
	})
}

// The ranking is the order in which devices are asked, and tells what was measured.
func TestRanking(t *testing.T) {
	ways := []way{direct(10*time.Millisecond, 0), lan(8*time.Millisecond, 8*mib), lan(4*time.Millisecond, 8*mib), lan(time.Millisecond, 0)}
	simulate(t, 1, ways, fetch.Limits{}, func(t *testing.T, n *network) {
		n.connect(3, false)
		order := func() (out []int) {
			for _, r := range n.fetcher.Ranking() {
				out = append(out, int(r.Device[0]))
			}
			return out
		}
		if got := order(); !slices.Equal(got, []int{2, 1, 0, 3}) {
			t.Errorf("order %v", got)
		}
		n.fetchAll(t, n.fetcher.Group(n.peers[2].id), fetch.Pin, n.big(64, 64*kib))
		for _, d := range n.blocks(0, 20) {
			n.get(t, n.fetcher.Group(), d)
		}
		r := n.fetcher.Ranking()[0]
		if r.Device != n.peers[2].id || r.Rate < 6*mib || r.Rate > 9*mib || r.P95 < 4*time.Millisecond || r.P95 > 6*time.Millisecond || r.Hits < 0.9 || r.Answers < 20 {
			t.Errorf("%+v", r)
		}
		n.set(2, func(w *way) { w.path, w.rtt = fetch.Relay, 100*time.Millisecond })
		last := n.fetcher.Ranking()[2]
		if last.Device != n.peers[2].id || last.Rate != 0 || last.P95 != 0 || !slices.Equal(order(), []int{1, 0, 2, 3}) {
			t.Errorf("over another way: %+v, order %v", last, order())
		}
		n.set(1, func(w *way) { w.asleep = true })
		big := n.big(3, 48*kib)
		w := n.fetcher.Want(fetch.Pin, big...)
		time.Sleep(100 * time.Millisecond)
		busy := n.fetcher.Ranking()[0]
		if busy.Requests == 0 || busy.Bytes == 0 || busy.Silent {
			t.Errorf("%+v", busy)
		}
		time.Sleep(3 * time.Second)
		w.Cancel()
		if got := n.fetcher.Ranking(); got[2].Device != n.peers[1].id || !got[2].Silent || got[2].Failures == 0 {
			t.Errorf("a silent device: %+v", got)
		}
	})
}
