package guest

import (
	"time"

	"github.com/shelffs/shelf/fetch"
)

// Limits are bytes per second of blocks, by the network that they go over; 0: as much as there is. What devices
// tell each other of files, a few hundred bytes each, does not count. Metered holds besides the others while
// the connection is metered, for all that goes over the internet.
type Limits struct {
	LANUp, LANDown           int64 // this network, and this machine
	InternetUp, InternetDown int64 // over the internet, relays not counted in
	RelayUp, RelayDown       int64
	MeteredUp, MeteredDown   int64
}

type direction int

const (
	up direction = iota
	down
)

// The classes of network.
const (
	lan = iota
	internet
	relay
	metered
	classes
)

// overInternet reports whether bytes leave this network. Of what nobody knows it is taken to be so.
func overInternet(p fetch.Path) bool { return p > fetch.LAN }

func classOf(p fetch.Path) int {
	switch {
	case !overInternet(p):
		return lan
	case p == fetch.Relay:
		return relay
	}
	return internet
}

// limits holds traffic to Limits. Guarded by Guest.mu.
type limits struct {
	now Limits
	by  [2][classes]limit
}

func (l *limits) set(to Limits) {
	l.now = to
	for d, rates := range [2][classes]int64{
		up:   {lan: to.LANUp, internet: to.InternetUp, relay: to.RelayUp, metered: to.MeteredUp},
		down: {lan: to.LANDown, internet: to.InternetDown, relay: to.RelayDown, metered: to.MeteredDown},
	} {
		for c, rate := range rates {
			if l.by[d][c].rate != rate {
				l.by[d][c] = newLimit(rate)
			}
		}
	}
}

// on lists the limits that a path is under.
func (l *limits) on(d direction, p fetch.Path, costs bool) []*limit {
	var all [2]*limit
	out := all[:0]
	if c := &l.by[d][classOf(p)]; c.rate > 0 {
		out = append(out, c)
	}
	if c := &l.by[d][metered]; c.rate > 0 && costs && overInternet(p) {
		out = append(out, c)
	}
	return out
}

// wait is how long nothing may go over a path.
func (l *limits) wait(d direction, p fetch.Path, costs, urgent bool) (wait time.Duration) {
	now := time.Now()
	for _, m := range l.on(d, p, costs) {
		wait = max(wait, m.wait(now, urgent))
	}
	return wait
}

func (l *limits) count(d direction, p fetch.Path, costs, urgent bool, n int64) {
	now := time.Now()
	for _, m := range l.on(d, p, costs) {
		m.count(now, urgent, n)
	}
}

// portion is how much of n bytes is sent at once.
func (l *limits) portion(d direction, p fetch.Path, costs bool, n int) int {
	for _, m := range l.on(d, p, costs) {
		n = min(n, m.portion())
	}
	return n
}
