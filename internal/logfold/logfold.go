// Package logfold keeps a log readable while the same thing goes wrong again and again: the
// first event of a cause is told at once, later ones are counted and told together.
package logfold

import (
	"sync"
	"time"
)

// Every is the usual pause between two lines about one cause.
const Every = 30 * time.Second

// Fold counts events by cause. The zero value is not usable; make it with New.
type Fold[K comparable] struct {
	every time.Duration
	clock func() time.Time

	mu     sync.Mutex
	causes map[K]*cause
}

type cause struct {
	told time.Time
	n    int // events since then
}

// New makes a Fold that tells of each cause at most once per every. Causes are kept for ever:
// K is something of which there are few, such as a kind of error. A nil clock is time.Now.
func New[K comparable](every time.Duration, clock func() time.Time) *Fold[K] {
	if clock == nil {
		clock = time.Now
	}
	return &Fold[K]{every: every, clock: clock, causes: map[K]*cause{}}
}

// Add counts one event. n > 0: write a line now, it stands for n events of this cause.
func (f *Fold[K]) Add(k K) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.clock()
	c := f.causes[k]
	if c == nil {
		c = &cause{told: now.Add(-f.every)}
		f.causes[k] = c
	}
	c.n++
	if now.Sub(c.told) < f.every {
		return 0
	}
	n, c.n, c.told = c.n, 0, now
	return n
}

// Rest calls tell for every cause with events that no line stands for yet, at an end for example.
func (f *Fold[K]) Rest(tell func(k K, n int)) {
	f.mu.Lock()
	left := map[K]int{}
	for k, c := range f.causes {
		if c.n > 0 {
			left[k], c.n = c.n, 0
		}
	}
	f.mu.Unlock()
	for k, n := range left {
		tell(k, n)
	}
}
