package fs

import (
	"context"

	"github.com/shelffs/shelf/internal/namespace"
)

// walk is the way of somebody who goes through one directory after the other: the directories beside those
// through which he went.
type walk struct {
	parent namespace.NodeID
	orders []order
	at     int64 // when it was last used, in nanoseconds
}

// What is asked for of a directory in which nothing was read yet.
const (
	walkFiles = sweepMost / 4
	walkBytes = sweepBytes / 4
)

// leave tells that somebody will soon be at the end of a directory, through which he went in one of its orders. If he
// came from the directory before, he is expected in the next.
func (s *sweeps) leave(ctx context.Context, dir namespace.NodeID, way int) {
	e, err := s.fs.cfg.Names.Get(dir)
	if err != nil || dir == namespace.Root {
		return
	}
	next, ok := s.after(e.Parent, dir)
	if !ok {
		return
	}
	orders := s.list(next, namespace.File)
	if orders == nil {
		return
	}
	o := &orders[way]
	files := o.upTo(walkFiles, walkBytes)
	o.run = sweepMany
	s.mu.Lock()
	if s.dirs[next] != nil { // somebody is there already
		s.mu.Unlock()
		return
	}
	w := s.beginLocked(next, s.fs.now())
	w.loads = true
	s.listedLocked(w, orders)
	s.mu.Unlock()
	s.ask(ctx, files)
}

// after returns the directory that is next to one through which somebody went, if that was next to the one before.
func (s *sweeps) after(parent, dir namespace.NodeID) (next namespace.NodeID, ok bool) {
	s.mu.Lock()
	known := s.walk.parent == parent && s.fs.now()-s.walk.at < int64(sweepForgets)
	s.mu.Unlock()
	var orders []order
	if !known {
		if orders = s.list(parent, namespace.Dir); orders == nil {
			return next, false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known {
		s.walk = walk{parent: parent, orders: orders}
	}
	s.walk.at = s.fs.now()
	for i := range s.walk.orders {
		o := &s.walk.orders[i]
		if at, in := o.reach(dir); in && !ok && o.run > 0 && at+1 < len(o.files) {
			next, ok = o.files[at+1].id, true
		}
	}
	return next, ok
}
