package kv

import (
	"math"
	"sync"
	"sync/atomic"
)

// gate counts the calls inside a store, so that Close can wait for them and later ones are
// refused instead of crashing. Calls may nest (a scan's callback may read).
type gate struct {
	n       atomic.Int64 // calls inside; below zero once closed
	once    sync.Once
	drained chan struct{}
}

func newGate() *gate { return &gate{drained: make(chan struct{})} }

// enter reports whether the store is open; if so, leave must follow.
func (g *gate) enter() bool {
	if g.n.Add(1) < 0 {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() {
	if g.n.Add(-1) == math.MinInt64 {
		g.once.Do(func() { close(g.drained) })
	}
}

// shut refuses new calls; drain, which must follow, waits for those inside. It reports false
// if the gate was shut before.
func (g *gate) shut() bool {
	for {
		n := g.n.Load()
		if n < 0 {
			return false
		}
		if g.n.CompareAndSwap(n, n+math.MinInt64) {
			if n == 0 {
				g.once.Do(func() { close(g.drained) })
			}
			return true
		}
	}
}

func (g *gate) drain() { <-g.drained }
