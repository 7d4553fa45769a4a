package exchange

import (
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// A peer that has owed us an answer for a whole slowWindow must have sent something in it: less than
// slowest bytes, over all lanes together, and the lane is reset.
const (
	slowWindow = 30 * time.Second
	slowTicks  = 6 // looks per window
	slowest    = 30 << 10
)

// watch looks at a lane from time to time while questions are unanswered. Its fields are guarded
// by lane.mu.
type watch struct {
	running bool
	ticks   int    // since the lane was last idle or the window began
	mark    uint64 // remote.received when the window began
}

// begin starts the watch; the lane's lock is held.
func (w *watch) begin(l *lane) {
	w.ticks, w.mark = 0, l.r.received.Load()
	if w.running {
		return
	}
	w.running = l.r.x.spawn(func() {
		tick := time.NewTicker(slowWindow / slowTicks)
		defer tick.Stop()
		for {
			select {
			case <-l.dead:
				return
			case <-tick.C:
				if !w.look(l) {
					return
				}
			}
		}
	})
}

// look reports whether to go on looking.
func (w *watch) look(l *lane) bool {
	l.mu.Lock()
	if l.err != nil || len(l.calls) == 0 {
		w.running = false
		l.mu.Unlock()
		return false
	}
	w.ticks++
	now := l.r.received.Load()
	slow := now-w.mark < slowest && l.oldestLocked() >= slowWindow
	if w.ticks < slowTicks {
		l.mu.Unlock()
		return true
	}
	w.ticks, w.mark = 0, now
	l.mu.Unlock()
	if slow {
		l.fail(errs.E("exchange", errs.Timeout, "silent or too slow", nil))
	}
	return !slow
}

// oldestLocked is the age of the oldest unanswered question.
func (l *lane) oldestLocked() time.Duration {
	var oldest time.Duration
	for _, c := range l.calls {
		oldest = max(oldest, time.Since(c.since))
	}
	return oldest
}
