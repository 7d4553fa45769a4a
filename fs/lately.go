package fs

import (
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/namespace"
)

// lately remembers what a kernel found by name in the last moments. Between finding and opening a file,
// another device may remove it: a local filesystem opens what was found, and so does this one. What was
// found longer ago is Stale then, so that the kernel looks what is there now; it does so only once.
type lately struct {
	mu    sync.Mutex
	found []found // a ring, once it is full
	next  int
}

type found struct {
	when  int64
	entry namespace.Entry
}

const (
	latelyMost = 4096
	latelyLife = 10 * time.Second
)

func (l *lately) note(e *namespace.Entry, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.found) < latelyMost {
		l.found = append(l.found, found{now, *e})
		return
	}
	l.found[l.next] = found{now, *e}
	l.next = (l.next + 1) % latelyMost
}

// find is how the node id was found last.
func (l *lately) find(id namespace.NodeID, now int64) (e namespace.Entry, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := now - int64(latelyLife)
	for i := range l.found {
		if f := &l.found[i]; f.entry.ID == id && f.when >= last && f.when <= now { // the clock may have been put back
			e, ok, last = f.entry, true, f.when
		}
	}
	return e, ok
}
