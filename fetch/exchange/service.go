package exchange

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/shelffs/shelf/internal/errs"
)

// service is one stream that we serve.
type service struct {
	x      *Exchange
	r      *remote
	s      Stream
	ctx    context.Context // ends with the stream
	cancel context.CancelFunc
	turn   chan struct{} // capacity 1: whoever put a token into it may write
	level  atomic.Int32  // of the most urgent block owed on this stream, -1: none. One level for all of
	// them: a worker that waited at the gate for another answer of its own stream would wait for ever.

	mu      sync.Mutex
	queue   jobs
	byID    map[uint32]*job // those not answered
	blocks  [levels]int     // how many of them are blocks, by level
	seq     uint64
	busy    []*job        // those that workers have
	settled chan struct{} // closed and replaced when a job is answered
	running int           // workers
	ended   bool
}

// job is one question to be answered.
type job struct {
	q     question
	level int // at the gate; -1: not a block
	seq   uint64
	index int    // in the queue; -1: a worker has it
	calm  func() // ends the rush that it is in; nil: none
}

// take accepts one question; Protocol when the device asks too much at once.
func (v *service) take(q question) error {
	v.mu.Lock()
	switch q.kind {
	case kindCancel, kindRaise:
		v.amendLocked(q)
		v.mu.Unlock()
		return nil
	}
	if len(v.byID) >= maxQuestions || v.byID[q.id] != nil {
		v.mu.Unlock()
		return errs.E("exchange.take", errs.Protocol, "too many questions, or an id twice", nil)
	}
	v.seq++
	j := &job{q: q, seq: v.seq, level: -1}
	v.byID[q.id] = j
	if q.block() {
		v.levelLocked(j, levelOf(q.priority))
	}
	heap.Push(&v.queue, j)
	hire := v.running < workers
	if hire {
		v.running++
	}
	v.mu.Unlock()
	if hire && !v.x.spawn(v.work) {
		return errs.E("exchange.take", errs.Closed, "", nil)
	}
	return nil
}

// amendLocked changes an earlier question, if it is not answered yet.
func (v *service) amendLocked(q question) {
	j := v.byID[q.id]
	switch {
	case j == nil:
	case q.kind == kindCancel && j.index >= 0:
		// Answered in its turn by a worker, which is cheap and keeps writing out of the reader.
		j.q.kind = kindCancel
		heap.Fix(&v.queue, j.index)
	case q.kind == kindRaise && j.q.block() && q.priority < j.q.priority:
		j.q.priority = q.priority
		if j.index >= 0 {
			heap.Fix(&v.queue, j.index)
		}
		v.levelLocked(j, levelOf(q.priority))
	}
}

// levelLocked moves a job to another level of the gate, and the stream with it.
func (v *service) levelLocked(j *job, to int) {
	from := j.level
	j.level = to
	if from >= 0 {
		v.blocks[from]--
	}
	if to >= 0 {
		v.blocks[to]++
	}
	lowest := int32(-1)
	for l := levels - 1; l >= 0; l-- {
		if v.blocks[l] > 0 {
			lowest = int32(l)
		}
	}
	v.level.Store(lowest)
	if to == 0 && from != 0 {
		j.calm = v.x.rush.begin()
	} else if to != 0 && j.calm != nil {
		j.calm()
		j.calm = nil
	}
	v.r.gate.move(from, to)
}

// work answers questions until there is none.
func (v *service) work() {
	for {
		v.mu.Lock()
		if v.queue.Len() == 0 || v.ended {
			v.running--
			v.mu.Unlock()
			return
		}
		j := heap.Pop(&v.queue).(*job)
		v.busy = append(v.busy, j)
		q := j.q
		v.mu.Unlock()
		err := v.answer(j, q)
		v.mu.Lock()
		v.busy = slices.DeleteFunc(v.busy, func(o *job) bool { return o == j })
		if err == errYield && !v.ended {
			heap.Push(&v.queue, j)
			v.mu.Unlock()
			continue
		}
		v.settleLocked(j)
		v.mu.Unlock()
		if err != nil {
			v.cancel()
			_ = v.s.Reset() // the reader ends with it
		}
	}
}

// errYield is a worker's answer when something more urgent was asked while it read the store.
var errYield = errs.E("exchange", errs.Busy, "", nil)

// takeTurn waits until a job may write: after the one that is being written, and after the more urgent
// blocks of the same stream. One of those in the queue is let go first by giving the worker up to it
// (errYield), one that the other worker has by waiting for it. Whoever got the turn must end it.
func (v *service) takeTurn(j *job) error {
	for {
		select {
		case v.turn <- struct{}{}:
		case <-v.ctx.Done():
			return v.ctx.Err()
		}
		v.mu.Lock()
		queued := v.queue.Len() > 0 && j.before(v.queue[0])
		elsewhere := slices.ContainsFunc(v.busy, j.before)
		settled := v.settled
		v.mu.Unlock()
		if !queued && !elsewhere {
			return nil
		}
		v.endTurn()
		if queued {
			return errYield
		}
		select {
		case <-settled:
		case <-v.ctx.Done():
			return v.ctx.Err()
		}
	}
}

func (v *service) endTurn() { <-v.turn }

// before reports whether o must be answered before j. Only blocks stand back, and only for blocks.
func (j *job) before(o *job) bool {
	return j.level >= 0 && o.level >= 0 && o.q.priority < j.q.priority
}

// settleLocked notes that a job is answered, or never will be.
func (v *service) settleLocked(j *job) {
	delete(v.byID, j.q.id)
	v.levelLocked(j, -1)
	close(v.settled)
	v.settled = make(chan struct{})
}

// end drops what is still queued, so that the gate does not wait for it.
func (v *service) end() {
	v.cancel()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	for _, j := range v.queue {
		v.settleLocked(j)
	}
	v.queue = nil
}

// jobs is a heap: cancelled first (they cost nothing), then the most urgent, then the oldest.
type jobs []*job

func (h jobs) Len() int { return len(h) }
func (h jobs) Less(i, j int) bool {
	a, b := h[i], h[j]
	if ka, kb := a.q.kind == kindCancel, b.q.kind == kindCancel; ka != kb {
		return ka
	}
	if a.q.priority != b.q.priority {
		return a.q.priority < b.q.priority
	}
	return a.seq < b.seq
}
func (h jobs) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }
func (h *jobs) Push(x any)   { j := x.(*job); j.index = len(*h); *h = append(*h, j) }
func (h *jobs) Pop() any {
	old := *h
	j := old[len(old)-1]
	old[len(old)-1], j.index = nil, -1
	*h = old[:len(old)-1]
	return j
}
