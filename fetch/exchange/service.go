package exchange

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// piece is how much of a block is written at once, and so how long something urgent may have to
// wait for something that is not. It fills one message of the multiplexer with its head.
const piece = 64<<10 - 12

// service is one stream that we serve.
type service struct {
	x      *Exchange
	r      *remote
	s      Stream
	ctx    context.Context // ends with the stream
	cancel context.CancelFunc
	turn   chan struct{} // capacity 1: whoever put a token into it may write
	level  atomic.Int32  // of all its blocks: what the first one asked for; -1: none yet, or no blocks

	mu      sync.Mutex
	queue   jobs
	byID    map[uint32]*job // those in the queue
	seq     uint64
	running int // workers
	owed    int // questions taken and not answered
	ended   bool
}

// job is one question to be answered.
type job struct {
	q     question
	block bool // owed at the gate
	seq   uint64
	index int // in the queue
}

// take accepts one question; Protocol when the device asks too much at once.
func (v *service) take(q question) error {
	v.mu.Lock()
	if q.kind == kindCancel {
		j := v.byID[q.id]
		if j != nil {
			// Answered in its turn by a worker, which is cheap and keeps writing out of the reader.
			j.q.kind = kindCancel
			heap.Fix(&v.queue, j.index)
		}
		v.mu.Unlock()
		return nil
	}
	if v.owed >= maxQuestions || v.byID[q.id] != nil {
		v.mu.Unlock()
		return errs.E("exchange.take", errs.Protocol, "too many questions, or an id twice", nil)
	}
	v.owed++
	v.seq++
	j := &job{q: q, seq: v.seq, block: q.kind == kindGet}
	if j.block {
		// One level for all: a worker that waited at the gate for another answer of its own
		// stream would wait for ever.
		v.level.CompareAndSwap(-1, int32(levelOf(q.priority)))
		v.r.gate.enter(int(v.level.Load()))
	}
	v.byID[q.id] = j
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
		delete(v.byID, j.q.id)
		v.mu.Unlock()
		err := v.answer(j.q)
		v.settle(j)
		if err != nil {
			v.cancel()
			_ = v.s.Reset() // the reader ends with it
		}
	}
}

// settle notes that a job is answered, or never will be.
func (v *service) settle(j *job) {
	v.mu.Lock()
	v.owed--
	v.mu.Unlock()
	if j.block {
		v.r.gate.leave(int(v.level.Load()))
	}
}

// end drops what is still queued, so that the gate does not wait for it.
func (v *service) end() {
	v.cancel()
	v.mu.Lock()
	v.ended = true
	rest := v.queue
	v.queue, v.byID = nil, nil
	v.mu.Unlock()
	for _, j := range rest {
		v.settle(j)
	}
}

func (v *service) answer(q question) error {
	switch q.kind {
	case kindGet:
		return v.answerGet(q)
	case kindHave:
		return v.answerHave(q)
	case kindRelease:
		return v.answerRelease(q)
	}
	return v.write(errs.Interrupted, q.id, nil)
}

// answerGet reads the block and sends it. Whatever the reason, a block that is not served is
// answered in one way.
func (v *service) answerGet(q question) error {
	if !v.x.allowed(v.r.dev) {
		return v.write(errs.NotExist, q.id, nil)
	}
	ctx, cancel := context.WithTimeout(v.ctx, loadTimeout)
	b, err := v.x.cfg.Store.GetBlock(ctx, q.digests[0])
	cancel()
	if err != nil || len(b.Bytes) > blocks.MaxSealed {
		if !errs.Is(err, errs.NotExist) {
			v.x.log.Debug("exchange: block not served", "block", q.digests[0].Short(), "err", err)
		}
		return v.write(errs.NotExist, q.id, nil)
	}
	if err := v.write(0, q.id, b.Bytes); err != nil {
		return err
	}
	v.r.tally.out(1, len(b.Bytes))
	v.x.totals.out(1, len(b.Bytes))
	return nil
}

func (v *service) answerHave(q question) error {
	out := make([]byte, len(q.digests))
	if k := v.x.cfg.Keeper; k != nil && v.x.allowed(v.r.dev) {
		for i, c := range k.Classes(q.digests) {
			out[i] = byte(c)
		}
	}
	return v.write(0, q.id, out)
}

func (v *service) answerRelease(q question) error {
	out := make([]byte, len(q.digests))
	if k := v.x.cfg.Keeper; k != nil && v.x.allowed(v.r.dev) {
		for i, yes := range k.Grant(v.r.dev, q.nonce, q.digests) {
			if yes {
				out[i] = 1
			}
		}
	}
	return v.write(0, q.id, out)
}

var scratch = sync.Pool{New: func() any { return new([piece]byte) }}

// write sends one answer in pieces, and lets pass before each of them what is more urgent.
func (v *service) write(status errs.Kind, id uint32, body []byte) error {
	select {
	case v.turn <- struct{}{}:
	case <-v.ctx.Done():
		return v.ctx.Err()
	}
	defer func() { <-v.turn }()
	level := int(v.level.Load())
	if len(body) > 0 && !v.r.gate.wait(level, v.ctx.Done()) {
		return v.ctx.Err()
	}
	head := answerHead(status, id, len(body))
	first := scratch.Get().(*[piece]byte)
	n := copy(first[:], head[:])
	took := copy(first[n:], body)
	err := v.writePiece(first[:n+took])
	scratch.Put(first)
	for body = body[took:]; err == nil && len(body) > 0; {
		if !v.r.gate.wait(level, v.ctx.Done()) {
			return v.ctx.Err()
		}
		n := min(len(body), piece)
		err = v.writePiece(body[:n])
		body = body[n:]
	}
	return err
}

func (v *service) writePiece(b []byte) error {
	if err := v.s.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := v.s.Write(b)
	return err
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
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return j
}
