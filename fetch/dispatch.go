package fetch

import (
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// maxLook is how many groups of a queue, and how many flights of a group, are looked at past those that
// cannot start now.
const maxLook = 16

// dispatchLocked starts what may start, the most urgent first.
func (f *Fetcher) dispatchLocked() {
	looked := false
	for p := range f.queues {
		if f.queues[p].ring.Len() == 0 {
			continue
		}
		if !looked {
			f.lookAroundLocked()
			looked = true
		}
		if !f.serveLocked(Priority(p)) {
			return
		}
	}
}

// lookAroundLocked learns which devices there are.
func (f *Fetcher) lookAroundLocked() {
	f.devices = f.cfg.Locator.Devices()
	f.book.meet(f.devices)
}

// serveLocked starts flights of one priority. It returns false when there is room for nothing more.
func (f *Fetcher) serveLocked(p Priority) bool {
	q := &f.queues[p]
	all := func() int { return min(q.ring.Len(), maxLook) }
	left := all() // to be looked at, unless one starts: the ring gets shorter where a flight can ask nobody
	for t := q.next(); t != nil && left > 0; t = q.next() {
		if f.fullLocked(p, false) {
			return false
		}
		if f.startLocked(t) {
			left = all()
			continue
		}
		left--
		q.pass(t)
	}
	return true
}

// startLocked starts one flight of a group, if any can start.
func (f *Fetcher) startLocked(t *turn) bool {
	now, looked := time.Now(), 0
	for e := t.flights.Front(); e != nil && looked < maxLook; {
		fl := e.Value.(*flight)
		e = e.Next()
		switch c, verdict := f.chooseLocked(fl, now); verdict {
		case start:
			t.credit -= int64(f.expects(fl))
			fl.place.remove()
			f.attemptLocked(fl, c)
			return true
		case wait:
			if looked++; len(fl.tried) == 0 && len(f.book.banned) == 0 {
				return false // as the rest of the group, of which nobody was asked either
			}
		case nobody:
			fl.place.remove()
			f.parkLocked(fl)
		}
	}
	return false
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
	young := now.Sub(f.start) < f.lim.Grace
	for _, c := range f.devices {
		dev := c.Source.Device()
		t := fl.tried[dev]
		if (t != nil && t.final) || f.book.isBanned(dev, fl.digest, now) || f.heldLocked(fl, c.Path) {
			continue
		}
		if young || (c.Connected && (t == nil || t.tries < maxTries)) || (!c.Connected && now.Sub(c.LastSeen) < f.graceOf(dev)) {
			return true
		}
	}
	return young && len(f.devices) == 0
}

// graceOf is how long a device that was there a moment ago is waited for. When a relay starts anew, both its ends
// are still there, and first have to find it again.
func (f *Fetcher) graceOf(dev ident.DeviceID) time.Duration {
	if f.book.page(dev).path == Relay {
		return f.lim.RelayGrace
	}
	return f.lim.Grace
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
	if f.heldBackLocked(fl) {
		kind = errs.Busy
	}
	return errs.E("fetch", kind, fl.digest.Short(), nil)
}
