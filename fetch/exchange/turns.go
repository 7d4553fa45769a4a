package exchange

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// turns shares what the limits of one way let through among the devices that are served over it: readers
// first, then whoever got least, however much it asks for at once.
type turns struct {
	mu      sync.Mutex
	waiting []*waiter          // in the order they came
	sent    map[*remote]uint64 // bytes, but who rested does not catch up
	reached uint64             // what the device that went last had been sent before
}

// waiter is a piece of an answer that is to go.
type waiter struct {
	to    *remote
	level *atomic.Int32 // at the gate, of its stream
	wake  chan struct{} // capacity 1: it may be its turn
}

// pass waits until it is w's turn and grant lets something go. grant does not wait: it returns how much may
// go, or else how long nothing may. It is false when done is closed.
func (t *turns) pass(w *waiter, grant func() (int, time.Duration), done <-chan struct{}) (granted int, ok bool) {
	granted, wait := t.try(w, grant)
	if granted > 0 {
		return granted, true
	}
	defer t.leave(w)
	for granted == 0 {
		if !w.rest(wait, done) {
			return 0, false
		}
		granted, wait = t.try(w, grant)
	}
	return granted, true
}

// rest waits so long, or (0) until w is woken. It is false when done is closed.
func (w *waiter) rest(wait time.Duration, done <-chan struct{}) bool {
	var over <-chan time.Time
	if wait > 0 { // short: less than portions that went a moment ago take
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-w.wake:
	case <-done:
		return false
	}
	return true
}

// try lets w go, or has it wait: so long, or (0) until it is woken.
func (t *turns) try(w *waiter, grant func() (int, time.Duration)) (granted int, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.waiting, w) {
		t.waiting = append(t.waiting, w)
	}
	first := slices.MinFunc(t.waiting, t.compareLocked)
	if first != w {
		first.nudge() // it may have become the first just now
		return 0, 0
	}
	if granted, wait = grant(); granted > 0 {
		if t.sent == nil {
			t.sent = map[*remote]uint64{}
		}
		t.reached = max(t.reached, t.sent[w.to])
		t.sent[w.to] = t.reached + uint64(granted)
		t.leaveLocked(w)
	}
	return granted, wait
}

// compareLocked orders two waiters; those that are equal go in the order they came.
func (t *turns) compareLocked(a, b *waiter) int {
	if x, y := a.urgent(), b.urgent(); x != y {
		if x {
			return -1
		}
		return 1
	}
	return cmp.Compare(max(t.sent[a.to], t.reached), max(t.sent[b.to], t.reached))
}

func (t *turns) leave(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaveLocked(w)
}

// leaveLocked takes w out, and wakes who is next.
func (t *turns) leaveLocked(w *waiter) {
	i := slices.Index(t.waiting, w)
	if i < 0 {
		return
	}
	if t.waiting = slices.Delete(t.waiting, i, i+1); len(t.waiting) > 0 {
		slices.MinFunc(t.waiting, t.compareLocked).nudge()
	}
}

func (w *waiter) urgent() bool { return w.level.Load() < levels-1 }

func (w *waiter) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
