package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/logfold"
)

// Sync makes everything durable that was staged, put or owned before the call: segments and
// index. Concurrent calls share one round. After an error of the disk all later calls fail
// too, until the store is opened again and has looked at what is there.
func (s *Store) Sync(ctx context.Context) error {
	const op = "cache.Sync"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	if err := s.group.do(ctx, s.syncAll); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	return nil
}

// syncAll syncs segments and index at the same time. A row may so become durable before its
// block, as it may at any time by the index's own doing: it is listed as unsynced until both
// are, and Open believes no listed row without reading its block.
func (s *Store) syncAll() error {
	if e := s.failed.Load(); e != nil {
		return e
	}
	s.mu.Lock()
	list := s.unsynced
	s.unsynced = nil
	s.mu.Unlock()
	index := make(chan error, 1)
	go func() { index <- s.db.Sync() }()
	err, ierr := s.segs.sync(), <-index
	if err != nil {
		// A second sync may say yes after the system dropped the pages: never ask again.
		e := &errs.Error{Op: "cache.Sync", Subject: "segment", Err: errs.FromOS("", "", err)}
		s.failed.CompareAndSwap(nil, e)
		s.log.Error("cache: the disk failed a sync; nothing is promised until the store is opened again", "err", err)
		return e
	}
	if len(list) > 0 {
		b := s.db.Batch()
		for _, u := range list {
			_ = b.Delete(s.unsyncedKey(uint32(u>>32), uint32(u)))
		}
		if err := b.Commit(kv.NoSync); err != nil {
			return err // the rows stay listed: the next Open looks at them, in vain
		}
	}
	return ierr
}

// group lets concurrent callers share rounds of work: a caller's round begins after its call.
type group struct {
	mu      sync.Mutex
	next    *round
	running sync.Mutex // held by the round that runs
}

type round struct {
	done chan struct{}
	err  error
}

func (g *group) do(ctx context.Context, fn func() error) error {
	g.mu.Lock()
	r := g.next
	if r == nil {
		r = &round{done: make(chan struct{})}
		g.next = r
		go g.run(r, fn)
	}
	g.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *group) run(r *round, fn func() error) {
	g.running.Lock()
	defer g.running.Unlock()
	g.mu.Lock()
	g.next = nil // who comes from now on waits for the next round
	g.mu.Unlock()
	r.err = fn()
	close(r.done)
}

// reclaim gives freed ranges back to the disk, after their deletion is durable. It returns how
// many bytes that were.
func (s *Store) reclaim() (n int64) {
	s.reclaiming.Lock()
	defer s.reclaiming.Unlock()
	s.mu.Lock()
	freed := s.freed
	s.freed = nil
	s.mu.Unlock()
	if len(freed) == 0 {
		return 0
	}
	if err := s.db.Sync(); err != nil {
		s.mu.Lock()
		s.freed = append(freed, s.freed...)
		s.mu.Unlock()
		s.log.Warn("cache: freed space not given back yet", "err", err)
		return 0
	}
	for _, r := range freed {
		n += r.n
	}
	slices.SortFunc(freed, func(a, b region) int { return cmp.Or(cmp.Compare(a.seg, b.seg), cmp.Compare(a.off, b.off)) })
	for i := 0; i < len(freed); {
		r := freed[i]
		for i++; i < len(freed) && freed[i].seg == r.seg && freed[i].off == r.off+r.n; i++ {
			r.n += freed[i].n
		}
		s.giveBack(r)
	}
	s.mu.Lock()
	s.pending -= n
	s.mu.Unlock()
	return n
}

// giveBack removes the segment if it is empty, else punches out the range.
func (s *Store) giveBack(r region) {
	if s.segs.quiet(r.seg) { // so that no row can come that names it
		s.mu.Lock()
		empty := s.segSums[r.seg].live <= 0
		if empty {
			delete(s.segSums, r.seg)
		}
		s.mu.Unlock()
		if empty {
			s.segs.remove(r.seg)
			return
		}
	}
	s.punch(r)
}

func (s *Store) punch(r region) {
	if s.noPunch.Load() {
		return
	}
	sg, err := s.segs.acquire(r.seg)
	if err != nil {
		return
	}
	defer s.segs.release(sg)
	if err := sg.f.Punch(r.off, r.n); errors.Is(err, errPunch{}) {
		s.noPunch.Store(true)
	} else if err != nil {
		s.log.Warn("cache: a freed range stays on the disk", "err", err)
	}
}

const (
	settleDelay = time.Second      // between a change and the work that follows it on its own
	heatEvery   = 10 * time.Minute // 4 MiB each time: what a killed daemon forgets is worth less than the wear
)

// wake lets the background work run soon.
func (s *Store) wake() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// background does what nobody waits for: it makes puts durable, gives back space, holds the
// limit, copies sparse segments together. It sleeps until something changes.
func (s *Store) background() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-s.closing
		cancel()
	}()
	saved := time.Now()
	failures := logfold.New[errs.Kind](logfold.Every, nil)
	for {
		select {
		case <-s.closing:
			return
		case <-s.poke:
		}
		select {
		case <-s.closing:
			return
		case <-time.After(settleDelay):
		}
		_ = s.group.do(ctx, s.syncAll) // whoever needs it asks again and hears of it
		s.reclaim()
		if s.lacking(0) > 0 {
			if _, err := s.evict(ctx, func() int64 { return s.lacking(0) }); err != nil && ctx.Err() == nil {
				if n := failures.Add(errs.KindOf(err)); n > 0 {
					s.log.Warn("cache: eviction failed", "err", err, "times", n)
				}
			}
		}
		s.compact(ctx)
		if time.Since(saved) > heatEvery {
			saved = time.Now()
			if err := s.heat.save(); err != nil {
				s.log.Warn("cache: heat not saved", "err", err)
			}
		}
	}
}
