package namespace

import (
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// flush puts all local writes into signed batches and makes everything durable. Concurrent
// callers share the work of the one before them.
func (r *Replica) flush() error {
	target := r.written.Load()
	r.sealing.Lock()
	defer r.sealing.Unlock()
	if r.durable.Load() >= target {
		return nil
	}
	r.writing.Lock()
	todo := r.pending
	r.pending = nil
	r.writing.Unlock()
	if err := r.seal(todo); err != nil {
		return err
	}
	return r.harden()
}

// seal is sealHeld for callers that do not hold writing: where the store refuses, the writes
// stay pending.
func (r *Replica) seal(todo []written) error {
	from := r.own.last
	err := r.sealHeld(todo)
	if err != nil {
		rest := todo[r.own.last-from:]
		r.writing.Lock()
		r.pending = append(append([]written(nil), rest...), r.pending...)
		r.writing.Unlock()
	}
	return err
}

// sealHeld chains writes, the next of this device's log, into batches. Needs sealing.
func (r *Replica) sealHeld(todo []written) error {
	for len(todo) > 0 {
		n := min(len(todo), MaxRecords)
		if err := r.sealBatch(todo[:n]); err != nil {
			return err
		}
		todo = todo[n:]
	}
	return nil
}

func (r *Replica) sealBatch(members []written) error {
	hashes := make([]byte, 0, len(members)*memberHashLen)
	for _, m := range members {
		var h [memberHashLen]byte
		if m.v != nil {
			h = hashRecord(r.record(m.id, m.v))
		}
		hashes = append(hashes, h[:]...)
	}
	s := signBatch(r.cfg.Signer, batch{share: r.cfg.Share, writer: r.self, epoch: epoch, first: r.own.last + 1,
		count: uint32(len(members)), prev: r.own.hash, root: rootOf(hashes)}, hashes)
	end := head{s.last(), s.hash()}
	claims := r.Claims().Raise(Dot{Writer: r.self, Seq: end.last})
	b := r.cfg.DB.Batch()
	_ = b.Set(r.keys.batch(r.selfNum, s.first), s.append(nil, true))
	_ = b.Set(r.keys.head(r.selfNum), encodeHead(end))
	_ = b.Set(r.keys.state(stateClaims), EncodeClaims(claims))
	if err := b.Commit(kv.NoSync); err != nil {
		return errs.E("namespace.seal", errs.Other, "", err)
	}
	r.own = end
	return nil
}

// harden makes the batches sealed so far durable and tells everybody. Needs sealing.
func (r *Replica) harden() error {
	if err := r.cfg.DB.Sync(); err != nil {
		return errs.E("namespace.Sync", errs.Other, "", err)
	}
	if r.own.last > r.durable.Load() {
		r.setClaims(r.Claims().Raise(Dot{Writer: r.self, Seq: r.own.last}))
		r.durable.Store(r.own.last)
	}
	return nil
}

// setClaims makes durable claims known. Needs sealing.
func (r *Replica) setClaims(c Claims) {
	r.mu.Lock()
	r.claims = c
	r.mu.Unlock()
	r.signal.fire()
}

// grouper makes operations durable in groups, in a goroutine of its own.
type grouper struct {
	wake chan struct{}
	quit chan struct{}
	done sync.WaitGroup
	once sync.Once
}

func startGroup(wait time.Duration, flush func() error) *grouper {
	g := &grouper{wake: make(chan struct{}, 1), quit: make(chan struct{})}
	if wait > 0 {
		g.done.Add(1)
		go g.run(wait, flush)
	}
	return g
}

func (g *grouper) run(wait time.Duration, flush func() error) {
	defer g.done.Done()
	delay := wait
	for {
		select {
		case <-g.wake:
		case <-g.quit:
			return
		}
		select {
		case <-time.After(delay):
		case <-g.quit:
			return
		}
		if flush() == nil {
			delay = wait
			continue
		}
		delay = min(2*delay, time.Second) // the disk is full or failed: callers of Sync are told
		g.kick()
	}
}

// kick says that there is something to make durable.
func (g *grouper) kick() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *grouper) stop() {
	g.once.Do(func() { close(g.quit) })
	g.done.Wait()
}

// signal wakes everybody who waits for a change.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) init() { s.ch = make(chan struct{}) }

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}
