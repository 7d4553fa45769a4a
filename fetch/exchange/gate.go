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

// move says that an answer is owed at another level than before; -1 is not owed.
func (g *gate) move(from, to int) {
	if from == to {
		return
	}
	if to >= 0 {
		g.owed[to].Add(1)
	}
	if from >= 0 {
		g.owed[from].Add(-1)
	}
	if from >= 0 && from < levels-1 || from >= 0 && to >= 0 {
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

// wait returns when nothing more urgent is owed than the level, which may change meanwhile (with a
// move), or false when done is closed. Level -1 never waits.
func (g *gate) wait(level *atomic.Int32, done <-chan struct{}) bool {
	for !g.open(int(level.Load())) {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if g.open(int(level.Load())) { // changed between the two looks
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
