package fetch

import (
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// When somebody waits, a second device is asked if the first shows nothing for a few times as long as it
// usually takes.
const (
	hedgeFactor = 4
	minHedge    = 100 * time.Millisecond
	maxHedge    = 2 * time.Second
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
		newest := fl.attempts[len(fl.attempts)-1]
		after = min(max(hedgeFactor*f.book.page(newest.dev).answer, minHedge+2*newest.rtt), maxHedge)
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
	still := fl.progress.Load() == fl.seen
	if !still {
		fl.seen, fl.moved = fl.progress.Load(), now
	}
	if fl.prio.Urgent() && now.Sub(fl.moved) >= f.lim.OnDemand && now.Sub(fl.urgent) >= f.lim.OnDemand {
		f.failLocked(fl, errs.E("fetch", errs.Timeout, fl.digest.Short(), nil))
		return
	}
	_, parked := f.parked[fl]
	switch {
	case parked:
		f.unparkLocked(fl)
	case fl.place == nil && len(fl.attempts) > 0 && (still || f.slowLocked(fl, now)):
		f.queues[fl.prio].push(fl) // a second attempt, at another device if there is one
	}
	f.dispatchLocked()
	f.armLocked(fl)
}

// slowLocked reports whether the only attempt brings its bytes so slowly that a second may be quicker.
func (f *Fetcher) slowLocked(fl *flight, now time.Time) bool {
	return len(fl.attempts) == 1 && now.Sub(fl.attempts[0].begun) > maxHedge
}
