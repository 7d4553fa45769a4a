package placement

import (
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Awaited is ForPin while a person waits for it: nothing holds it up.
const Awaited Urgency = Here + 1

// urgency is what a job's blocks are asked for with.
func (p *pins) urgency(j job) Urgency {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaitedLocked(j) {
		return Awaited
	}
	return j.why
}

func (p *pins) awaitedLocked(j job) bool {
	if j.why != ForPin {
		return false
	}
	for t := range p.tallies {
		if t.files[j.node] {
			return true
		}
	}
	return false
}

// holdingLocked returns what tells of many jobs whether they wait until the machine or its network is another.
func (p *pins) holdingLocked() func(job) bool {
	var known, held [Here]bool // by urgency
	return func(j job) bool {
		if !known[j.why] {
			known[j.why], held[j.why] = true, p.e.cfg.Held != nil && p.e.cfg.Held(j.why)
		}
		return held[j.why] && !p.awaitedLocked(j)
	}
}

// forget takes a job back that has lost its reason: held, it would wait and be counted.
func (p *pins) forget(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.failed, j)
	if p.queued[j] {
		delete(p.queued, j)
		p.forgot = true
	}
}

// tidyLocked takes what was forgotten out of the queue, all at once: it may be a large folder.
func (p *pins) tidyLocked() {
	if p.forgot {
		p.queue = slices.DeleteFunc(p.queue, func(j job) bool { return !p.queued[j] })
		p.forgot = false
	}
}

// Resume tries at once what was held: the machine or its network is another.
func (e *Engine) Resume() {
	e.pins.retry()
	e.pins.poke()
}

// Waits reports whether a file's pin is among those held that Work counts.
func (e *Engine) Waits(n namespace.NodeID) bool {
	e.pins.mu.Lock()
	defer e.pins.mu.Unlock()
	j := job{n, ForPin}
	return e.pins.queued[j] && e.pins.holdingLocked()(j) || errs.Is(e.pins.failed[j], errs.Busy)
}

// Work counts the files whose pin waits until the machine or its network is another (those that were not
// begun, and those of which the rest could only be had in a way that is not to be used now), and those that are
// being fetched while no person waits for them.
func (e *Engine) Work() (held, working int) {
	e.pins.mu.Lock()
	defer e.pins.mu.Unlock()
	e.pins.tidyLocked()
	holding := e.pins.holdingLocked()
	for _, j := range e.pins.queue {
		if j.why == ForPin && holding(j) {
			held++
		}
	}
	for j, err := range e.pins.failed {
		if j.why == ForPin && errs.Is(err, errs.Busy) {
			held++
		}
	}
	for j := range e.pins.busy {
		if !e.pins.awaitedLocked(j) {
			working++
		}
	}
	return held, working
}
