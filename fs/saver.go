package fs

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/logfold"
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
	fs      *FS
	spaces  spaceCheck
	waiting atomic.Int32 // callers that wait for a commit
	short   atomic.Int32 // callers that wait for memory
	jobs    atomic.Int32 // on their way

	mu       sync.Mutex
	urgent   []*inode // somebody waits for these
	queue    []queued // the others, the oldest first
	later    bool     // a worker comes when the first of them has rested
	workers  int
	listed   map[*inode]bool // all files with changes; true: to be committed some time
	ended    bool
	freed    chan struct{} // closed and renewed when memory came back or an attempt failed
	failure  error         // of the last attempt; nil after a success
	failures int           // in a row
	doubt    error         // why a file could not be saved; nil after one was
	fold     *logfold.Fold[errs.Kind]
	quiet    chan struct{} // wakes the watch over quiet files
	hurry    chan struct{} // ends the gathering of a group

	toCommit, toSettle mailbox[*job]
	abandoned          mailbox[namespace.NodeID]
}

// queued is a file that is to be worked on, and when it was handed over.
type queued struct {
	n  *inode
	at time.Time
}

// rest is how long a file rests before it is sealed. Many do not live longer: journals of databases, what
// compilers leave for one another.
const rest = 5 * time.Millisecond

const maxWorkers = 8 // more than cores: a file may have to wait for old bytes from afar

func newSaver(fs *FS) *saver {
	return &saver{
		fs: fs, listed: make(map[*inode]bool), freed: make(chan struct{}), quiet: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		spaces:   spaceCheck{statfs: fs.cfg.StatFS},
		fold:     logfold.New[errs.Kind](logfold.Every, nil),
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
	_, ok := s.listed[n]
	s.listed[n] = n.gone == nil
	if ok {
		return
	}
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

// pending counts the files that are to be committed.
func (s *saver) pending() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, named := range s.listed {
		if named {
			n++
		}
	}
	return n
}

// enqueue asks for n to be worked on, after a rest or at once. n.mu is held.
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
		s.queue = append(s.queue, queued{n, time.Now()})
	}
	s.employ()
}

// employ sees to a worker, now or when there is work. s.mu is held.
func (s *saver) employ() {
	if len(s.urgent) == 0 {
		if wait := s.unripe(); wait > 0 {
			if !s.later {
				s.later = true
				time.AfterFunc(wait, s.ripen)
			}
			return
		}
	}
	if s.workers < max(2, min(maxWorkers, runtime.GOMAXPROCS(0)*2)) {
		s.workers++
		s.fs.wg.Go(s.work)
	}
}

// unripe is how long the first of the queue has still to rest. s.mu is held.
func (s *saver) unripe() time.Duration {
	if len(s.queue) == 0 || s.short.Load() > 0 {
		return 0
	}
	return rest - time.Since(s.queue[0].at)
}

// again asks for n to be worked on once more, if there is reason to. n.mu is held.
func (s *saver) again(n *inode) {
	f := n.file
	switch {
	case !f.touched:
	case s.short.Load() > 0 && f.dirty.held > 0, n.gone == nil && f.dirty.large():
		s.enqueue(n, true)
	case n.gone == nil && f.want:
		s.enqueue(n, f.waiters > 0)
	}
}

func (s *saver) ripen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.later = false; !s.ended && len(s.queue) > 0 {
		s.employ()
	}
}

func (s *saver) work() {
	for n := s.next(); n != nil; n = s.next() {
		if j := s.begin(n); j != nil {
			s.seal(j)
		}
	}
}

// next is what a worker is to do; nil ends it.
func (s *saver) next() (n *inode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.urgent) > 0:
		n, s.urgent = s.urgent[0], s.urgent[1:]
	case len(s.queue) > 0 && s.unripe() <= 0:
		n, s.queue = s.queue[0].n, s.queue[1:]
	default:
		if s.workers--; len(s.queue) > 0 {
			s.employ()
		}
	}
	return n
}

// outcome notes how the saving of a file ended.
func (s *saver) outcome(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubt = err
}

// progress tells those who wait for memory how the last attempt went.
func (s *saver) progress(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure = err; err != nil {
		s.failures++
	} else {
		s.failures = 0
	}
	close(s.freed)
	s.freed = make(chan struct{})
}
