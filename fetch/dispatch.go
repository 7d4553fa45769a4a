package fetch

import (
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// maxLook is how many flights of a queue are looked at past those that cannot start now.
const maxLook = 16

// dispatchLocked starts what may start, the most urgent first.
func (f *Fetcher) dispatchLocked() {
	for p := range f.queues {
		looked := 0
		for e := f.queues[p].l.Front(); e != nil && looked < maxLook; {
			fl := e.Value.(*flight)
			e = e.Next()
			if !fl.prio.Urgent() && f.flying >= f.room(fl.prio) {
				return // nor is there room for anything less urgent
			}
			switch c, verdict := f.chooseLocked(fl); verdict {
			case start:
				fl.place.remove()
				f.attemptLocked(fl, c)
			case wait:
				looked++
			case nobody:
				fl.place.remove()
				f.parkLocked(fl)
			}
		}
	}
}

// room is how many bytes may be in flight for a priority to add to them: what is read ahead may use
// twice as much, so that it need not wait for pins to arrive.
func (f *Fetcher) room(p Priority) int64 {
	if p <= ReadAhead {
		return 2 * f.lim.InFlightBytes
	}
	return f.lim.InFlightBytes
}

type verdict int

const (
	start  verdict = iota // ask this one now
	wait                  // those who could be asked have enough to do
	nobody                // nobody can be asked
)

// chooseLocked picks the device that is likely to bring the block soonest. A relay does not stand in
// for a nearer device that is merely busy.
func (f *Fetcher) chooseLocked(fl *flight) (best Candidate, v verdict) {
	now, v, bestCost, nearBusy := time.Now(), nobody, 0.0, false
	for _, c := range f.cfg.Locator.Locate(fl.digest) {
		dev := c.Source.Device()
		if !c.Connected || !f.eligibleLocked(fl, dev, now) {
			continue
		}
		if !f.hasRoomLocked(fl.prio, c) {
			nearBusy = nearBusy || c.Path < Relay
			if v == nobody {
				v = wait
			}
			continue
		}
		if cost := f.book.cost(c, fl.group, fl.prio); v != start || cost < bestCost {
			best, bestCost, v = c, cost, start
		}
	}
	if v == start && best.Path >= Relay && nearBusy {
		return Candidate{}, wait
	}
	return best, v
}

// hasRoomLocked reports whether a device may be asked for one more block at this priority.
func (f *Fetcher) hasRoomLocked(p Priority, c Candidate) bool {
	if p.Urgent() {
		return true
	}
	w := f.book.window(c, f.lim.PerSource)
	if p == ReadAhead {
		w *= 2
	}
	return f.book.page(c.Source.Device()).flying < w
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

// parkLocked is for a flight that can ask nobody now. It ends it, unless an attempt is under way or
// somebody may soon be there.
func (f *Fetcher) parkLocked(fl *flight) {
	if len(fl.attempts) > 0 {
		return
	}
	if !f.hopeLocked(fl, time.Now()) {
		f.failLocked(fl, f.verdictLocked(fl))
		return
	}
	f.parked[fl] = struct{}{}
	f.armLocked(fl)
}

// hopeLocked reports whether it makes sense to wait: a device that has not given its last answer was
// connected a moment ago, or is and breaks off, or there has been no time yet to connect to any.
func (f *Fetcher) hopeLocked(fl *flight, now time.Time) bool {
	all := f.cfg.Locator.Locate(fl.digest)
	young := now.Sub(f.start) < f.lim.Grace
	for _, c := range all {
		dev := c.Source.Device()
		t := fl.tried[dev]
		if (t != nil && t.final) || f.book.isBanned(dev, fl.digest, now) {
			continue
		}
		if young || (c.Connected && (t == nil || t.tries < maxTries)) || (!c.Connected && now.Sub(c.LastSeen) < f.lim.Grace) {
			return true
		}
	}
	return young && len(all) == 0
}

// verdictLocked is the error of a flight that nobody could serve.
func (f *Fetcher) verdictLocked(fl *flight) error {
	kind := errs.Offline
	for _, k := range []errs.Kind{errs.Exhausted, errs.Timeout, errs.Corrupt} { // the last that occurred tells most
		for _, t := range fl.tried {
			if t.kind == k {
				kind = k
			}
		}
	}
	return errs.E("fetch", kind, fl.digest.Short(), nil)
}
