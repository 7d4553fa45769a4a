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
// `*`, rsync) or by the order in which a directory is listed (tar, cp -r, grep -r). Who did so in one directory
// goes on in another, most often in the next (walk.go).
type sweeps struct {
	fs *FS

	mu   sync.Mutex
	dirs map[namespace.NodeID]*sweep
	went int64 // when somebody was last known to go through a directory, in nanoseconds
	walk walk
}

const (
	sweepDirs    = 32               // directories watched at a time, as by who looks into several at once
	sweepFiles   = 1 << 16          // larger directories are left alone
	sweepListed  = 1 << 18          // files of all that are listed, some 250 bytes each
	sweepSkip    = 8                // files that may be left out between one and the next
	sweepMany    = 4                // so many in order are no chance
	sweepFirst   = 8                // files asked for in the first batch; then twice as many each time
	sweepMost    = 512              // … up to this
	sweepBytes   = 8 << 20          // and that
	sweepForgets = 30 * time.Second // after the last file
	sweepGoesOn  = 2 * time.Second  // who went through a directory goes on in another
	sweepReads   = 16               // reads remembered while a directory is listed
)

// sweep is one directory.
type sweep struct {
	last   int64 // when the last file of it was read, in nanoseconds
	cold   int   // files of it that were not here
	run    int   // that it is taken to be in order from the start
	orders []order
	loads  bool               // orders are filled, or being so
	reads  []namespace.NodeID // meanwhile
	left   bool               // all of it was asked for, and what comes next
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
	versions []namespace.Dot // that show it
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
	if do := s.follow(&e, s.here(e.Content.Root), s.fs.now()); do != nil {
		go do(s.fs.onBehalf(ctx))
	}
}

func (s *sweeps) here(d blocks.Digest) bool {
	is, _ := s.fs.cfg.Blocks.Find(d)
	return is || d.IsZero()
}

// ask asks for those files that are not here, as far as their reader may have them.
func (s *sweeps) ask(ctx context.Context, files []upcoming) {
	if files = s.fs.aheadOfRoots(ctx, files); len(files) > 0 {
		s.fs.askAhead(files)
	}
}

// follow returns what is to be done about it that a file is read, beside its reader.
func (s *sweeps) follow(e *namespace.Entry, here bool, now int64) func(context.Context) {
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
	if w.last = now; !here {
		w.cold++
	}
	switch {
	case !w.loads && (w.cold >= 2 || w.run > 0):
		w.loads = true
		w.reads = append(w.reads, e.ID)
		return func(ctx context.Context) { s.load(ctx, e.Parent, w) }
	case len(w.orders) == 0:
		if len(w.reads) < sweepReads {
			w.reads = append(w.reads, e.ID)
		}
		return nil
	}
	return s.nextLocked(e.Parent, w, e.ID)
}

// nextLocked returns what is to be done when a file of a directory is read that is listed.
func (s *sweeps) nextLocked(dir namespace.NodeID, w *sweep, file namespace.NodeID) func(context.Context) {
	var files []upcoming
	leaves := -1
	for i := range w.orders {
		o := &w.orders[i]
		files = append(files, o.next(file)...)
		if o.run >= sweepMany {
			s.went = w.last
		}
		if o.run >= 2 && o.asked == len(o.files) && !w.left {
			leaves, w.left = i, true
		}
	}
	if len(files) == 0 && leaves < 0 {
		return nil
	}
	return func(ctx context.Context) {
		s.ask(ctx, files)
		if leaves >= 0 {
			s.leave(ctx, dir, leaves)
		}
	}
}

// beginLocked watches one more directory, in place of the one that was longest left alone.
func (s *sweeps) beginLocked(dir namespace.NodeID, now int64) *sweep {
	maps.DeleteFunc(s.dirs, func(_ namespace.NodeID, w *sweep) bool { return now-w.last > int64(sweepForgets) })
	if len(s.dirs) >= sweepDirs {
		s.forgetLocked()
	}
	w := &sweep{last: now}
	if s.went > 0 && now-s.went < int64(sweepGoesOn) {
		w.run = 1
	}
	s.dirs[dir] = w
	return w
}

// forgetLocked leaves the directory alone that was longest left alone.
func (s *sweeps) forgetLocked() {
	var oldest namespace.NodeID
	for d, w := range s.dirs {
		if o := s.dirs[oldest]; o == nil || w.last < o.last {
			oldest = d
		}
	}
	delete(s.dirs, oldest)
}

// listedLocked gives a directory its orders; others are left alone for it, if they are too much together.
func (s *sweeps) listedLocked(w *sweep, orders []order) {
	w.orders = orders
	for len(s.dirs) > 1 {
		files := 0
		for _, w := range s.dirs {
			if len(w.orders) > 0 {
				files += len(w.orders[0].files)
			}
		}
		if files <= sweepListed {
			return
		}
		s.forgetLocked()
	}
}

// load lists a directory, and takes in what was read of it meanwhile.
func (s *sweeps) load(ctx context.Context, dir namespace.NodeID, w *sweep) {
	orders := s.list(dir, namespace.File)
	if orders == nil {
		return
	}
	s.mu.Lock()
	s.listedLocked(w, orders)
	for i := range w.orders {
		w.orders[i].run = w.run
	}
	var todo []func(context.Context)
	for _, file := range w.reads {
		if do := s.nextLocked(dir, w, file); do != nil {
			todo = append(todo, do)
		}
	}
	w.reads = nil
	s.mu.Unlock()
	for _, do := range todo {
		do(ctx)
	}
}

// list returns the orders in which one may go through what a directory has of a kind; nil if it has too much.
func (s *sweeps) list(dir namespace.NodeID, kind namespace.Kind) []order {
	var all []namespace.DirEntry
	for after := uint64(0); ; after = all[len(all)-1].Cookie {
		page, err := s.fs.cfg.Names.List(dir, after, 1024)
		if err != nil || len(all)+len(page) > sweepFiles {
			return nil
		}
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
	}
	all = slices.DeleteFunc(all, func(e namespace.DirEntry) bool { return e.Kind != kind })
	listed := newOrder(all)
	slices.SortFunc(all, func(a, b namespace.DirEntry) int { return cmp.Compare(a.Name, b.Name) })
	return []order{newOrder(all), listed}
}

func newOrder(all []namespace.DirEntry) order {
	o := order{files: make([]upcoming, len(all)), at: make(map[namespace.NodeID]int, len(all)), last: -1}
	for i := range all {
		o.files[i], o.at[all[i].ID] = upcoming{all[i].ID, all[i].Content, all[i].Versions}, i
	}
	return o
}

// reach takes in that a file is read, and returns its place.
func (o *order) reach(id namespace.NodeID) (at int, ok bool) {
	if at, ok = o.at[id]; !ok {
		return 0, false
	}
	if step := at - o.last; step < 1 || step > sweepSkip || o.last < 0 && o.run == 0 {
		o.run, o.asked = 0, 0
	} else {
		o.run++
	}
	o.last = at
	return at, true
}

// next takes in that a file is read, and returns the following ones if it is time to ask for the blocks
// with which they begin: all of a small file, the manifest of a larger one.
func (o *order) next(id namespace.NodeID) []upcoming {
	at, ok := o.reach(id)
	batch := min(sweepFirst<<min(o.run, 16), sweepMost)
	if !ok || o.run < 2 || o.asked-at > batch*3/4 {
		return nil
	}
	o.asked = max(o.asked, at+1)
	return o.upTo(at+1+batch, sweepBytes)
}

// upTo returns the files that are to be asked for before that of an index, until they have so many bytes.
func (o *order) upTo(end int, most int64) (next []upcoming) {
	for bytes := int64(0); o.asked < min(end, len(o.files)) && bytes < most; o.asked++ {
		if c := o.files[o.asked]; !c.Root.IsZero() {
			next = append(next, c)
			bytes += int64(min(c.Size, sweepFirstBlock))
		}
	}
	return next
}

// sweepFirstBlock is about what the first block of a large file takes.
const sweepFirstBlock = 256 << 10
