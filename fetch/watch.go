package fetch

import (
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// watch lets flights that could ask nobody try again whenever a device comes or goes.
func (f *Fetcher) watch() {
	for {
		changed := f.cfg.Locator.Changed()
		f.mu.Lock()
		f.changes++
		for fl := range f.parked {
			for _, t := range fl.tried {
				t.again, t.tries = time.Time{}, 0
			}
			f.unparkLocked(fl)
		}
		f.dispatchLocked()
		f.mu.Unlock()
		select {
		case <-changed:
		case <-f.ctx.Done():
			return
		}
	}
}

func (f *Fetcher) unparkLocked(fl *flight) {
	delete(f.parked, fl)
	if fl.place == nil {
		f.queues[fl.prio].push(fl)
	}
}

// armLocked sets a flight's timer for its next look, where it needs one.
func (f *Fetcher) armLocked(fl *flight) {
	var after time.Duration
	switch _, parked := f.parked[fl]; {
	case fl.over():
		return
	case parked:
		after = retryDelay
	case len(fl.attempts) > 0 && fl.prio.Urgent():
		after = f.hedgeDelay(fl.attempts[len(fl.attempts)-1])
	case len(fl.attempts) > 0:
		after = minPatience
	case fl.prio.Urgent():
		after = f.lim.OnDemand // it waits for its turn
	default:
		return
	}
	if fl.timer == nil {
		fl.timer = time.AfterFunc(after, func() { f.look(fl) })
	} else {
		fl.timer.Reset(after)
	}
}

// look is what the timer does.
func (f *Fetcher) look(fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.over() {
		return
	}
	now := time.Now()
	moving := f.hearLocked(fl, now)
	if f.expiredLocked(fl, now) {
		f.failLocked(fl, errs.E("fetch", errs.Timeout, fl.digest.Short(), nil))
		return
	}
	f.lookAroundLocked()
	_, parked := f.parked[fl]
	switch {
	case parked:
		f.unparkLocked(fl)
	case fl.place == nil && len(fl.attempts) > 0 && (!moving || slow(fl, now)):
		f.secondLocked(fl, now)
	}
	f.dispatchLocked()
	f.armLocked(fl)
}

// hearLocked notes which attempts have moved since the last look, and reports whether any has.
func (f *Fetcher) hearLocked(fl *flight, now time.Time) (moving bool) {
	for _, a := range fl.attempts {
		if n := a.progress.Load(); n > a.seen {
			a.seen, a.moved, fl.moved, f.arrived, moving = n, now, now, now, true
			f.book.page(a.dev).quiet.hears(now)
		}
	}
	return moving
}

// expiredLocked reports whether a reader has waited long enough. One whose turn has not come waits as long as
// anything comes for those before it.
func (f *Fetcher) expiredLocked(fl *flight, now time.Time) bool {
	moved := fl.moved
	if len(fl.attempts) == 0 && fl.place != nil && f.arrived.After(moved) {
		moved = f.arrived
	}
	return fl.prio.Urgent() && now.Sub(moved) >= f.lim.OnDemand && now.Sub(fl.urgent) >= f.lim.OnDemand
}
