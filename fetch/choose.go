package fetch

import (
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

type verdict int

const (
	start  verdict = iota // ask this one now
	wait                  // those who should be asked have enough to do
	nobody                // nobody can be asked
)

// tier comes before cost: a device is asked only when none of a lower tier could be.
type tier int

const (
	near   tier = iota // on this network, and nothing speaks against its having the block
	far                // over the internet
	spared             // through a relay, or known to lack some of the group, while nobody waits
	silent             // it has stopped answering
	none
)

func (f *Fetcher) tierLocked(fl *flight, c Candidate, now time.Time) tier {
	dev := c.Source.Device()
	switch may := fl.group.mayHave(dev); {
	case f.book.page(dev).shy(now):
		return silent
	case c.Path <= LAN && may:
		return near
	case c.Path < Relay && may, fl.prio.Urgent():
		return far
	}
	return spared
}

// chooseLocked picks the device that is likely to bring the block soonest. One that is merely busy is waited for
// rather than to ask one of a higher tier.
func (f *Fetcher) chooseLocked(fl *flight, now time.Time) (best Candidate, v verdict) {
	bestTier, bestVague, bestCost, busyTier := none, false, 0.0, none
	for _, c := range f.devices {
		if !c.Connected || !f.eligibleLocked(fl, c.Source.Device(), now) || f.heldLocked(fl, c.Path) {
			continue
		}
		t := f.tierLocked(fl, c, now)
		if !f.hasRoomLocked(fl.prio, c, now) || f.restsLocked(fl, c, now) {
			busyTier = min(busyTier, t)
			continue
		}
		if t > bestTier {
			continue
		}
		vague, cost := f.vagueLocked(fl, c), f.book.cost(c, fl.group, fl.prio)
		if t < bestTier || bestVague && !vague || bestVague == vague && cost < bestCost {
			best, bestTier, bestVague, bestCost = c, t, vague, cost
		}
	}
	switch {
	case bestTier == none && busyTier == none:
		return Candidate{}, nobody
	case busyTier < bestTier:
		return Candidate{}, wait
	}
	return best, start
}

// vagueLocked reports whether others are said to have a flight's block, and can be relied on, but not this device:
// it is asked after them, however near it seems to be. What was measured of who is known says little against who
// was never asked.
func (f *Fetcher) vagueLocked(fl *flight, c Candidate) bool {
	p := f.book.page(c.Source.Device())
	return fl.group.pointed && (!fl.group.heard(c.Source.Device()) || p.lies > unreliable || p.fails > unreliable)
}

// unreliable is from what on lies and failures count more than a hint.
const unreliable = 0.4

// hasRoomLocked reports whether a device may be asked for one more block at this priority.
func (f *Fetcher) hasRoomLocked(p Priority, c Candidate, now time.Time) bool {
	pg, w := f.book.page(c.Source.Device()), f.book.window(c, p, f.lim.PerSource, now)
	if p.Urgent() {
		return pg.urgent < w
	}
	return pg.flying < w
}

// eligibleLocked reports whether a device may be asked now for a flight's block.
func (f *Fetcher) eligibleLocked(fl *flight, dev ident.DeviceID, now time.Time) bool {
	for _, a := range fl.attempts {
		if a.dev == dev {
			return false
		}
	}
	if t := fl.tried[dev]; t != nil && (t.final || now.Before(t.again)) {
		return false
	}
	return !f.book.isBanned(dev, fl.digest, now)
}
