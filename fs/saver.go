package fs

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// saver makes changes last. A file goes through three steps, each at work on other files
// at the same time:
//
//	seal    cut and seal what changed, stage the blocks      (several workers)
//	commit  one sync of the store for all files that wait, then a record for each
//	settle  one sync of the namespace, then the blocks belong to the records
//
// A file is in one step at a time (file.saving), so that what is staged for it and what is
// settled never mix.
type saver struct {
	fs     *FS
	spaces spaceCheck

	mu      sync.Mutex
	urgent  []*inode // somebody waits for these
	queue   []*inode
	workers int
	listed  map[*inode]struct{} // all files with changes
	ended   bool
	freed   chan struct{} // closed and renewed when memory came back or an attempt failed
	failure error         // of the last attempt; nil after a success
	quiet   chan struct{} // wakes the watch over quiet files

	toCommit, toSettle mailbox[*job]
	abandoned          mailbox[namespace.NodeID]
}

const maxWorkers = 8 // more than cores: a file may have to wait for old bytes from afar

func newSaver(fs *FS) *saver {
	return &saver{
		fs: fs, listed: make(map[*inode]struct{}), freed: make(chan struct{}), quiet: make(chan struct{}, 1),
		spaces:   spaceCheck{statfs: fs.cfg.StatFS},
		toCommit: newMailbox[*job](), toSettle: newMailbox[*job](), abandoned: newMailbox[namespace.NodeID](),
	}
}

func (s *saver) start() {
	s.fs.wg.Go(s.commitLoop)
	s.fs.wg.Go(s.settleLoop)
	s.fs.wg.Go(s.abandonLoop)
	s.fs.wg.Go(s.quietLoop)
}

// end stops taking work; what runs ends with fs.ctx.
func (s *saver) end() {
	s.mu.Lock()
	s.ended, s.queue, s.urgent = true, nil, nil
	s.mu.Unlock()
}

// dirty lists a file with changes, and clean takes it off the list. n.mu is held.
func (s *saver) dirty(n *inode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.listed[n]; ok {
		return
	}
	s.listed[n] = struct{}{}
	if len(s.listed) == 1 {
		select {
		case s.quiet <- struct{}{}:
		default:
		}
	}
}

func (s *saver) clean(n *inode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listed, n)
}

func (s *saver) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.listed)
}

// enqueue asks for n to be worked on. n.mu is held.
func (s *saver) enqueue(n *inode, urgent bool) {
	f := n.file
	if f.saving { // the end of its job looks again
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || f.queued && !urgent {
		return
	}
	f.queued = true
	if urgent {
		s.urgent = append(s.urgent, n)
	} else {
		s.queue = append(s.queue, n)
	}
	if s.workers < max(2, min(maxWorkers, runtime.GOMAXPROCS(0)*2)) {
		s.workers++
		s.fs.wg.Go(s.work)
	}
}

func (s *saver) work() {
	for {
		s.mu.Lock()
		var n *inode
		switch {
		case len(s.urgent) > 0:
			n, s.urgent = s.urgent[0], s.urgent[1:]
		case len(s.queue) > 0:
			n, s.queue = s.queue[0], s.queue[1:]
		default:
			s.workers--
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if j := s.begin(n); j != nil {
			s.seal(j)
		}
	}
}

// progress tells those who wait for memory how the last attempt went.
func (s *saver) progress(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
	close(s.freed)
	s.freed = make(chan struct{})
}

// relieve waits until n more bytes of changes may be held in memory.
func (s *saver) relieve(ctx context.Context, n int64) error {
	for {
		s.mu.Lock()
		freed := s.freed
		victims := make([]*inode, 0, len(s.listed))
		for v := range s.listed {
			victims = append(victims, v)
		}
		s.mu.Unlock()
		if s.fs.mem.used.Load()+n <= s.fs.cfg.Limits.Unsaved {
			return nil
		}
		for _, v := range victims {
			v.mu.Lock()
			if f := v.file; f != nil && f.dirty.held > 0 {
				s.enqueue(v, false)
			}
			v.mu.Unlock()
		}
		if s.fs.mem.used.Load()+n <= s.fs.cfg.Limits.Unsaved || len(victims) == 0 {
			return nil // nothing to save: what fills the memory are files without a name
		}
		if err := s.fs.wait(ctx, freed); err != nil {
			return err
		}
		s.mu.Lock()
		err := s.failure
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// saveAndWait returns when all changes made to n before are committed, with durable
// blocks, or the attempt failed. A file without a name has nothing to commit.
func (s *saver) saveAndWait(ctx context.Context, n *inode) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.file
	if f == nil {
		return nil
	}
	want := f.gen
	for f.touched && f.saved < want && n.gone == nil {
		f.want, f.err = true, nil
		s.enqueue(n, true)
		done := f.done
		n.mu.Unlock()
		err := s.fs.wait(ctx, done)
		n.mu.Lock()
		if err != nil {
			return err
		}
		if f.err != nil && f.saved < want {
			err, f.err = f.err, nil
			return errs.E("fs.Sync", errs.Other, "", err)
		}
	}
	return nil
}

// saveAll is saveAndWait for every file with changes.
func (s *saver) saveAll(ctx context.Context) error {
	s.mu.Lock()
	all := make([]*inode, 0, len(s.listed))
	for n := range s.listed {
		all = append(all, n)
	}
	s.mu.Unlock()
	for _, n := range all { // hand all over first: they share their syncs
		n.mu.Lock()
		if f := n.file; f != nil && f.touched && n.gone == nil {
			f.want = true
			s.enqueue(n, false)
		}
		n.mu.Unlock()
	}
	var first error
	for _, n := range all {
		if err := s.saveAndWait(ctx, n); err != nil && first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return first
}

// space refuses what the disk could not take.
func (s *saver) space(n int64) error { return s.spaces.check(n + s.fs.mem.used.Load()) }

// abandon frees what was staged for a node that will never be committed.
func (s *saver) abandon(id namespace.NodeID) { s.abandoned.put(id) }

func (s *saver) abandonLoop() {
	for ids := range s.abandoned.groups(s.fs.ctx) {
		for _, id := range ids {
			if err := s.fs.cfg.Store.Settle(id); err != nil {
				s.fs.log.Warn("blocks of a removed file were not freed", "err", err)
			}
		}
	}
}

// quietLoop commits files that are held open but rest.
func (s *saver) quietLoop() {
	for {
		select {
		case <-s.fs.ctx.Done():
			return
		case <-s.quiet:
		}
		for t := time.NewTicker(max(s.fs.cfg.Limits.Quiet/4, time.Millisecond)); ; {
			select {
			case <-s.fs.ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
			if !s.lookForQuiet() {
				t.Stop()
				break
			}
		}
	}
}

// busyFor is after how many quiet times a file that never rests is committed all the same.
const busyFor = 10

// lookForQuiet reports whether any file has changes.
func (s *saver) lookForQuiet() bool {
	s.mu.Lock()
	all := make([]*inode, 0, len(s.listed))
	for n := range s.listed {
		all = append(all, n)
	}
	s.mu.Unlock()
	now, quiet := s.fs.now(), int64(s.fs.cfg.Limits.Quiet)
	for _, n := range all {
		n.mu.Lock()
		if f := n.file; f != nil && f.touched && n.gone == nil && (now-f.changed >= quiet || now-f.since >= busyFor*quiet) {
			f.want = true
			s.enqueue(n, false)
		}
		n.mu.Unlock()
	}
	return len(all) > 0
}

func digestSet(ds []blocks.Digest) map[blocks.Digest]struct{} {
	m := make(map[blocks.Digest]struct{}, len(ds))
	for _, d := range ds {
		m[d] = struct{}{}
	}
	return m
}
