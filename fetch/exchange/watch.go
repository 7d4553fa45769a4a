package exchange

import (
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// A peer that has owed us an answer for a whole slowWindow must have sent something in it: less than
// slowest bytes, over all lanes together, and the lane is reset.
const (
	slowWindow = 30 * time.Second
	slowTicks  = 60 // looks per window
	slowest    = 30 << 10
)

// A peer that has owed an answer and sent nothing at all for so long may be gone without a word.
const silence = time.Second

// watch looks at a lane from time to time while questions are unanswered. Its fields are guarded
// by lane.mu.
type watch struct {
	running bool
	ticks   int       // since the lane was last idle or the window began
	mark    uint64    // remote.received when the window began
	heard   uint64    // remote.received at the last look
	since   time.Time // when heard last grew, or its standing still was told
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
	oldest := l.oldestLocked()
	silent := w.silent(now, oldest)
	slow, whole := now-w.mark < slowest && oldest >= slowWindow, w.ticks >= slowTicks
	if whole {
		w.ticks, w.mark = 0, now
	}
	l.mu.Unlock()
	if silent && l.r.x.cfg.Silent != nil {
		l.r.x.cfg.Silent(l.r.dev)
	}
	if !whole {
		return true
	}
	if slow {
		l.fail(errs.E("exchange", errs.Timeout, "silent or too slow", nil))
	}
	return !slow
}

// silent reports, once in each silence, that nothing came from the device, on any lane.
func (w *watch) silent(received uint64, oldest time.Duration) bool {
	now := time.Now()
	switch {
	case received != w.heard:
		w.heard, w.since = received, now
	case oldest >= silence && now.Sub(w.since) >= silence:
		w.since = now
		return true
	}
	return false
}

// oldestLocked is the age of the oldest unanswered question.
func (l *lane) oldestLocked() time.Duration {
	var oldest time.Duration
	for _, c := range l.calls {
		oldest = max(oldest, time.Since(c.since))
	}
	return oldest
}
