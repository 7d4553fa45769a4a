package exchange

import (
	"sync"
	"sync/atomic"
	"time"
)

// rushTime is how long a reader's question holds back what other devices get, and a piece of that waits.
const rushTime = 50 * time.Millisecond

// rush holds back the less urgent answers to all devices while somebody at one of them waits for a block. What
// they share may be the processor, the disk or the way out. But it need not be: a reader far away, whose block is
// long under way, is no reason to keep others waiting, and many readers are none to keep them waiting for ever.
type rush struct {
	mu      sync.Mutex
	owed    int
	changed chan struct{} // closed at a change; nil while nobody waits
}

// begin notes such a question until what it returns is called, or it has had its time.
func (r *rush) begin() (end func()) {
	r.add(1)
	t := time.AfterFunc(rushTime, func() { r.add(-1) })
	return func() {
		if t.Stop() {
			r.add(-1)
		}
	}
}

func (r *rush) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owed += n; r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// look returns nil when no reader waits, else what is closed at the next change.
func (r *rush) look() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owed == 0 {
		return nil
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

// wait returns when a piece of something at this level of the gate may go, which may change meanwhile (with a
// begin), or false when done is closed.
func (r *rush) wait(level *atomic.Int32, done <-chan struct{}) bool {
	var late <-chan time.Time
	for level.Load() > 0 {
		changed := r.look()
		if changed == nil {
			return true
		}
		if late == nil {
			t := time.NewTimer(rushTime)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-changed:
		case <-late:
			return true
		case <-done:
			return false
		}
	}
	return true
}
