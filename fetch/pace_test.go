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
	"github.com/shelffs/shelf/internal/guest"
)

// sense is a machine for a guest.
type sense struct {
	mu sync.Mutex
	is guest.Conditions
}

func (s *sense) set(c guest.Conditions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.is = c
}

// hosted runs act with a fetcher whose Pacer is a real guest, on a machine and under limits.
func hosted(t *testing.T, ways []way, l guest.Limits, is guest.Conditions, act func(t *testing.T, n *network, m *sense)) {
	m := &sense{is: is}
	var g *guest.Guest
	pacer := func() fetch.Pacer {
		g = guest.New(guest.Config{Battery: 30, Limits: l, Look: func(context.Context, guest.Conditions) guest.Conditions {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.is
		}})
		g.Fresh(context.Background())
		return g
	}
	simulatePaced(t, 1, ways, fetch.Limits{}, pacer, func(t *testing.T, n *network) {
		act(t, n, m)
		g.Close()
	})
}

func (n *network) sent() (bytes int64) {
	for _, p := range n.peers {
		p.mu.Lock()
		bytes += p.sent
		p.mu.Unlock()
	}
	return bytes
}

// try is fetchAll for what may not come: it counts what did, and what waits for the machine to be another.
func (n *network) try(t *testing.T, g *fetch.Group, p fetch.Priority, ds []blocks.Digest) (came, busy int) {
	err := g.FetchAll(t.Context(), p, slices.Values(ds), func(_ blocks.Digest, err error) {
		switch {
		case err == nil:
			came++
		case errs.Is(err, errs.Busy):
			busy++
		default:
			t.Error(err)
		}
	})
	if err != nil {
		t.Error(err)
	}
	return came, busy
}

// A limit holds for all that comes, and is used; a reader goes before a pin, and the pin pays for it.
func TestDownLimitIsKept(t *testing.T) {
	const speed = mib
	for _, urgent := range []bool{false, true} {
		hosted(t, []way{direct(20*time.Millisecond, 100*mib), direct(30*time.Millisecond, 100*mib)}, guest.Limits{InternetDown: speed}, guest.Conditions{Level: -1},
			func(t *testing.T, n *network, _ *sense) {
				pinned, read := n.big(80, mib), n.big(60, 256*kib)
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					_ = n.fetcher.FetchAll(ctx, fetch.Pin, slices.Values(pinned), func(blocks.Digest, error) {})
				})
				for i := range 60 { // for a minute
					began := time.Now()
					if urgent {
						if took := n.get(t, n.fetcher.Group(), read[i]); took > 200*time.Millisecond {
							t.Errorf("a reader waited %v behind a pin", took)
						}
					}
					time.Sleep(time.Second - time.Since(began))
					if sent, most := n.sent(), int64(i+1)*speed+speed/4+2*mib; sent > most {
						t.Fatalf("%d bytes came in %d s", sent, i+1)
					}
				}
				if sent := n.sent(); sent < 57*speed {
					t.Errorf("%d bytes came in a minute", sent)
				}
				stop()
				wg.Wait()
			})
	}
}

// Readers alone keep to it, too.
func TestReadersKeepToTheLimit(t *testing.T) {
	hosted(t, []way{direct(20*time.Millisecond, 100*mib)}, guest.Limits{InternetDown: mib}, guest.Conditions{Level: -1},
		func(t *testing.T, n *network, _ *sense) {
			start := time.Now()
			var wg sync.WaitGroup
			for _, d := range n.big(40, 256*kib) { // more than ten seconds' worth, all wanted at once
				wg.Go(func() { n.get(t, n.fetcher.Group(), d) })
			}
			wg.Wait()
			if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
				t.Errorf("10 MiB at 1 MiB/s took %v", took)
			}
		})
}

// Who is asked for what it does not have has sent nothing, and nothing is counted.
func TestOnlyWhatComesCounts(t *testing.T) {
	hosted(t, []way{direct(time.Millisecond, 100*mib), direct(50*time.Millisecond, 100*mib)}, guest.Limits{InternetDown: mib}, guest.Conditions{Level: -1},
		func(t *testing.T, n *network, _ *sense) {
			n.peers[0].has = func(blocks.Digest) bool { return false }
			start := time.Now()
			for _, d := range n.big(20, 256*kib) { // each a group of its own: nothing is learnt of who has them
				n.fetchAll(t, n.fetcher.Group(n.peers[0].id), fetch.Pin, []blocks.Digest{d})
			}
			if n.count(0, 0) < 3 {
				t.Fatal("the one that has nothing was not asked: the test proves nothing")
			}
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("5 MiB at 1 MiB/s took %v", took)
			}
		})
}

// On battery nothing is asked for that nobody waits for; what is under way is not thrown away, and what is
// wanted meanwhile fails as Busy, at once. Readers, second copies and pins that a person waits for go on.
func TestPinsWaitOnBattery(t *testing.T) {
	hosted(t, []way{lan(time.Millisecond, 10*mib)}, guest.Limits{}, guest.Conditions{Level: 90}, func(t *testing.T, n *network, m *sense) {
		all := n.big(400, 256*kib)
		var came, busy int
		var wg sync.WaitGroup
		wg.Go(func() { came, busy = n.try(t, n.fetcher.Group(), fetch.Pin, all[:300]) })
		time.Sleep(2 * time.Second)
		m.set(guest.Conditions{OnBattery: true, Level: 20})
		time.Sleep(4 * time.Second)
		wg.Wait()
		asked := len(n.asked())
		if came == 0 || busy == 0 || came+busy != 300 || came != asked {
			t.Errorf("%d came, %d wait, %d were asked for", came, busy, asked)
		}
		if came, busy := n.try(t, n.fetcher.Group(), fetch.Background, all[300:310]); came != 0 || busy != 10 {
			t.Errorf("in the background %d came, %d wait", came, busy)
		}
		if len(n.asked()) != asked {
			t.Error("something was asked for")
		}
		n.get(t, n.fetcher.Group(), all[299])
		n.fetchAll(t, n.fetcher.Group(), fetch.Safety, all[310:320])
		n.fetchAll(t, n.fetcher.Group().Awaited(), fetch.Pin, all[320:330])
		m.set(guest.Conditions{Level: 21})
		time.Sleep(6 * time.Second)
		_, _ = n.try(t, n.fetcher.Group(), fetch.Pin, all[330:331]) // makes the guest look
		time.Sleep(time.Second)
		n.fetchAll(t, n.fetcher.Group(), fetch.Pin, all[:300])
	})
}

// On a metered connection pins come from this network only.
func TestPinsStayNearOnMetered(t *testing.T) {
	hosted(t, []way{lan(time.Millisecond, 10*mib), direct(20*time.Millisecond, 10*mib)}, guest.Limits{}, guest.Conditions{Level: -1, Metered: true},
		func(t *testing.T, n *network, _ *sense) {
			all := n.big(20, 256*kib)
			near := map[blocks.Digest]bool{}
			for _, d := range all[:10] {
				near[d] = true
			}
			n.peers[0].has = func(d blocks.Digest) bool { return near[d] }
			if came, busy := n.try(t, n.fetcher.Group(), fetch.Pin, all); came != 10 || busy != 10 {
				t.Errorf("%d came, %d wait", came, busy)
			}
			if n.count(0, 1) != 0 {
				t.Error("bytes that cost were asked for")
			}
			n.get(t, n.fetcher.Group(), all[10])
			n.fetchAll(t, n.fetcher.Group(), fetch.Safety, all[11:15])
			n.fetchAll(t, n.fetcher.Group().Awaited(), fetch.Pin, all[15:])
		})
}

// Under pressure a pin is slow, and comes.
func TestPinsAreSlowUnderPressure(t *testing.T) {
	took := map[string]time.Duration{}
	for _, short := range []string{"", "disk"} {
		hosted(t, []way{lan(time.Millisecond, 10*mib)}, guest.Limits{}, guest.Conditions{Level: -1, Pressure: short}, func(t *testing.T, n *network, _ *sense) {
			start := time.Now()
			all := n.big(400, 256*kib)
			var wg sync.WaitGroup
			wg.Go(func() { n.fetchAll(t, n.fetcher.Group(), fetch.Pin, all[:399]) })
			time.Sleep(2500 * time.Millisecond) // in the rest, under pressure
			if short != "" {
				if d := n.get(t, n.fetcher.Group(), all[399]); d > 100*time.Millisecond {
					t.Errorf("a reader waited %v", d)
				}
			}
			wg.Wait()
			took[short] = time.Since(start)
		})
	}
	if took["disk"] < 3*took[""] || took["disk"] > 5*took[""] {
		t.Errorf("under pressure it took %v, without %v", took["disk"], took[""])
	}
}
