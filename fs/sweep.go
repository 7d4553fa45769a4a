package fs

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace"
)

// sweeps notices that somebody goes through the files of a directory one after the other, and asks for the
// next ones in batches: a file of one block costs a round trip otherwise. Programs go by name (a shell's
// `*`, rsync) or by the order in which a directory is listed (tar, cp -r, grep -r).
type sweeps struct {
	fs *FS

	mu   sync.Mutex
	dirs map[namespace.NodeID]*sweep
}

const (
	sweepDirs    = 8                // directories watched at a time
	sweepFiles   = 1 << 16          // larger directories are left alone
	sweepSkip    = 8                // files that may be left out between one and the next
	sweepFirst   = 8                // files asked for in the first batch; then twice as many each time
	sweepMost    = 512              // … up to this
	sweepBytes   = 8 << 20          // and that
	sweepForgets = 30 * time.Second // after the last file
)

// sweep is one directory.
type sweep struct {
	last   int64 // when the last file of it was read, in nanoseconds
	cold   int   // files of it that were not here
	orders []order
	loaded bool // orders are filled, or being so
}

// order is one way to go through a directory.
type order struct {
	files []upcoming
	at    map[namespace.NodeID]int
	last  int // index of the file read last
	run   int // so many came in order
	asked int // all before were asked for
}

// upcoming is a file that is about to be read.
type upcoming struct {
	id namespace.NodeID
	blocks.Content
}

// note tells that the beginning of a file is read.
func (s *sweeps) note(ctx context.Context, n *inode) {
	n.mu.Lock()
	if n.file == nil {
		n.mu.Unlock()
		return
	}
	e := n.file.entry
	n.mu.Unlock()
	here := func(d blocks.Digest) bool { is, _ := s.fs.cfg.Blocks.Find(d); return is || d.IsZero() }
	next := slices.DeleteFunc(s.follow(&e, here(e.Content.Root), s.fs.now()), func(f upcoming) bool { return here(f.Root) })
	if next = s.fs.aheadOfRoots(ctx, next); len(next) > 0 {
		s.fs.askAhead(next)
	}
}

// follow returns the files to be asked for.
func (s *sweeps) follow(e *namespace.Entry, here bool, now int64) (next []upcoming) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.dirs[e.Parent]
	if w != nil && now-w.last > int64(sweepForgets) {
		w = nil
		delete(s.dirs, e.Parent)
	}
	switch {
	case w == nil && here:
		return nil
	case w == nil:
		w = s.beginLocked(e.Parent, now)
	}
	w.last = now
	if !here {
		w.cold++
	}
	if !w.loaded && w.cold >= 2 {
		w.loaded = true
		go s.load(e.Parent, w)
	}
	for i := range w.orders {
		next = append(next, w.orders[i].next(e.ID)...)
	}
	return next
}

// beginLocked watches one more directory, in place of the one that was longest left alone.
func (s *sweeps) beginLocked(dir namespace.NodeID, now int64) *sweep {
	maps.DeleteFunc(s.dirs, func(_ namespace.NodeID, w *sweep) bool { return now-w.last > int64(sweepForgets) })
	if len(s.dirs) >= sweepDirs {
		oldest := dir
		for d, w := range s.dirs {
			if o := s.dirs[oldest]; o == nil || w.last < o.last {
				oldest = d
			}
		}
		delete(s.dirs, oldest)
	}
	w := &sweep{}
	s.dirs[dir] = w
	return w
}

// load lists the directory.
func (s *sweeps) load(dir namespace.NodeID, w *sweep) {
	var all []namespace.DirEntry
	for after := uint64(0); ; after = all[len(all)-1].Cookie {
		page, err := s.fs.cfg.Names.List(dir, after, 1024)
		if err != nil || len(all)+len(page) > sweepFiles {
			return
		}
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
	}
	all = slices.DeleteFunc(all, func(e namespace.DirEntry) bool { return e.Kind != namespace.File })
	listed := newOrder(all)
	slices.SortFunc(all, func(a, b namespace.DirEntry) int { return cmp.Compare(a.Name, b.Name) })
	named := newOrder(all)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.orders = []order{named, listed}
}

func newOrder(all []namespace.DirEntry) order {
	o := order{files: make([]upcoming, len(all)), at: make(map[namespace.NodeID]int, len(all)), last: -1}
	for i := range all {
		o.files[i], o.at[all[i].ID] = upcoming{all[i].ID, all[i].Content}, i
	}
	return o
}

// next takes in that a file is read, and returns the following ones if it is time to ask for the blocks
// with which they begin: all of a small file, the manifest of a larger one.
func (o *order) next(id namespace.NodeID) (next []upcoming) {
	at, ok := o.at[id]
	if !ok {
		return nil
	}
	if step := at - o.last; step < 1 || step > sweepSkip || o.last < 0 {
		o.run, o.asked = 0, 0
	} else {
		o.run++
	}
	o.last = at
	batch := min(sweepFirst<<min(o.run, 16), sweepMost)
	if o.run < 2 || o.asked-at > batch/2 {
		return nil
	}
	o.asked = max(o.asked, at+1)
	bytes := int64(0)
	for ; o.asked < min(at+1+batch, len(o.files)) && bytes < sweepBytes; o.asked++ {
		if c := o.files[o.asked]; !c.Root.IsZero() {
			next = append(next, c)
			bytes += int64(min(c.Size, sweepFirstBlock))
		}
	}
	return next
}

// sweepFirstBlock is about what the first block of a large file takes.
const sweepFirstBlock = 256 << 10
