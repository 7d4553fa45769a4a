package p2p

import "time"

// A computer that slept, or a process that was stopped, goes on with connections whose other ends may have
// given up long ago, and learns nothing of that before it says something, and then perhaps late.
const (
	wakeEvery = 2 * time.Second // a look at the clocks
	wakeAfter = 5 * time.Second // shorter sleeps do no harm
)

// wakeLoop looks at everybody when this device has slept.
func (h *Host) wakeLoop() {
	tick := time.NewTicker(wakeEvery)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		if away := slept(last, now); away > 0 {
			h.log.Info("p2p: awake again", "after", away.Round(time.Second))
			h.awake()
		}
		last = now
	}
}

// slept is how long this device did nothing between two looks, 0 if it was awake. While a computer sleeps,
// only the clock on the wall goes on; while a process is stopped, the other one does, too. A wall clock that
// was set looks like sleep, which does no harm.
func slept(last, now time.Time) time.Duration {
	away := max(now.Sub(last), now.Round(0).Sub(last.Round(0))) - wakeEvery
	if away < wakeAfter {
		return 0
	}
	return away
}

// awake closes the connections that do not answer any more, and dials whoever is not connected.
func (h *Host) awake() {
	h.mu.Lock()
	var links []*link
	for _, l := range h.links {
		links = append(links, l)
	}
	h.mu.Unlock()
	for _, l := range links {
		l.now()
		h.Check(l.dev)
	}
	h.checkRelays()
}
