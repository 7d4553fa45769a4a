package fetch

import (
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// A second device is asked beside the first when that has shown nothing for longer than 95 % of its answers
// took, within these bounds, and instead of it when it has shown nothing for very long.
const (
	hedgeQuantile = 0.95
	minHedge      = 10 * time.Millisecond
	usualHedge    = 100 * time.Millisecond // at least, of a device that is not known yet
	maxHedge      = 2 * time.Second
	minPatience   = 2 * time.Second
	maxPatience   = 4 * time.Second
	maxBeside     = 4 // devices that are asked at the same time
)

// hedgeDelay is how long a device is waited for before another is asked too.
func (f *Fetcher) hedgeDelay(a *attempt) time.Duration {
	if d, ok := f.book.page(a.dev).waits.quantile(hedgeQuantile); ok {
		return min(max(d, minHedge), maxHedge)
	}
	return min(usualHedge+2*f.rttLocked(a), maxHedge)
}

func (f *Fetcher) rttLocked(a *attempt) time.Duration {
	for _, c := range f.devices {
		if c.Source.Device() == a.dev {
			return rtt(c)
		}
	}
	return 0
}

// secondLocked asks another device for a block that does not come.
func (f *Fetcher) secondLocked(fl *flight, now time.Time) {
	c, v := f.chooseLocked(fl, now)
	if v == nobody {
		return // the longer wait is the better one
	}
	dropped := false
	for i := len(fl.attempts) - 1; i >= 0; i-- {
		if a := fl.attempts[i]; f.lostLocked(fl, a, c, v, now) {
			f.dropLocked(fl, a, now)
			dropped = true
		}
	}
	switch {
	case dropped && v == start:
		f.attemptLocked(fl, c)
	case dropped && len(fl.attempts) == 0:
		f.queues[fl.prio].push(fl)
	case v == start && f.hedgeLocked(fl, c, now):
		f.attemptLocked(fl, c)
	}
}

// hedgeLocked reports whether one more device may be asked beside the last: not before that has taken as long as
// this one is likely to take, not over the internet while that is near and brings other blocks,
// and only while all that stays cheap.
func (f *Fetcher) hedgeLocked(fl *flight, c Candidate, now time.Time) bool {
	if !fl.prio.Urgent() || len(fl.attempts) >= maxBeside {
		return false
	}
	a := fl.attempts[len(fl.attempts)-1]
	if a.path <= LAN && c.Path > LAN && f.book.page(a.dev).quiet.heard.After(a.begun) {
		return false
	}
	return now.Sub(a.begun).Seconds() >= f.book.cost(c, fl.group, fl.prio) &&
		!f.fullLocked(fl.prio, true) && f.hedges.spend(f.expects(fl))
}

// lostLocked reports whether an attempt is not worth waiting for any more: nothing has come of it for very long,
// and either its device is silent altogether, or another one has time for the block; but a near device that brings
// others is not given up for one over the internet where nobody waits. The more devices were silent already, the
// shorter the wait for one more that is not known.
func (f *Fetcher) lostLocked(fl *flight, a *attempt, c Candidate, v verdict, now time.Time) bool {
	p, patience := f.book.page(a.dev), minPatience>>min(fl.drops, 3)
	if d, ok := p.waits.quantile(hedgeQuantile); ok {
		patience = min(max(2*d, patience), maxPatience)
	}
	silent := !p.quiet.heard.After(a.moved)
	return now.Sub(a.moved) >= patience && (silent || v == start && (fl.prio.Urgent() || a.path > LAN || c.Path <= LAN))
}

// dropLocked gives an attempt up.
func (f *Fetcher) dropLocked(fl *flight, a *attempt, now time.Time) {
	a.dropped = true
	fl.drops++
	a.cancel()
	f.forgetLocked(fl, a)
	f.settleLocked(a)
	t, p := fl.trial(a.dev), f.book.page(a.dev)
	t.kind = errs.Timeout
	f.laterLocked(t, now)
	if !p.quiet.heard.After(a.moved) {
		p.failed()
	}
	if a.urgent && !a.part && a.path == p.path {
		p.waits.add(now.Sub(a.begun))
	}
	p.quiet.missed(a.moved, now, true)
}

// slow reports whether the only attempt brings its bytes so slowly that a second may be quicker.
func slow(fl *flight, now time.Time) bool {
	return len(fl.attempts) == 1 && now.Sub(fl.attempts[0].begun) > maxHedge
}
