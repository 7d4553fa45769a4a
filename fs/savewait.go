package fs

import (
	"context"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// saveAndWait returns when all changes made to n before are committed, with durable
// blocks, or the attempt failed. A file without a name has nothing to commit.
func (s *saver) saveAndWait(ctx context.Context, n *inode) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.file
	if f == nil {
		return nil
	}
	s.waiting.Add(1)
	select {
	case s.hurry <- struct{}{}:
	default:
	}
	f.waiters++
	defer func() { s.waiting.Add(-1); f.waiters-- }()
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

// drain waits until no file is on its way, for as long as ctx allows: what is settled now
// need not be looked at by the next start.
func (s *saver) drain(ctx context.Context) {
	for s.jobs.Load() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}
