package exchange

import (
	"sync"
	"sync/atomic"

	"github.com/shelffs/shelf/fetch"
)

// Levels of the gate: what is on demand, what is read ahead, the rest.
const levels = 3

func levelOf(p fetch.Priority) int { return int(min(p, levels-1)) }

// gate holds back the less urgent answers to one device while more urgent ones are owed to it,
// over all its streams.
type gate struct {
	owed [levels]atomic.Int32

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a level is paid off
}

func newGate() *gate { return &gate{changed: make(chan struct{})} }

// enter says that an answer of this level is owed, leave that it is not any more.
func (g *gate) enter(level int) { g.owed[level].Add(1) }

func (g *gate) leave(level int) {
	if g.owed[level].Add(-1) == 0 && level < levels-1 {
		g.mu.Lock()
		close(g.changed)
		g.changed = make(chan struct{})
		g.mu.Unlock()
	}
}

func (g *gate) open(level int) bool {
	for l := range level {
		if g.owed[l].Load() > 0 {
			return false
		}
	}
	return true
}

// wait returns when nothing more urgent is owed, or false when done is closed. Level -1 never waits.
func (g *gate) wait(level int, done <-chan struct{}) bool {
	for !g.open(level) {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if g.open(level) { // paid off between the two looks
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
	return true
}
