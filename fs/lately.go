package fs

import (
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/namespace"
)

// lately remembers what a kernel found by name in the last moments, and how it showed last. Between
// finding and opening a file, another device may remove it: a local filesystem opens what was found, and
// so does this one. What was found longer ago is Stale then, so that the kernel looks what is there now;
// it does so only once.
type lately struct {
	mu    sync.Mutex
	found []found                  // a ring, once it is full
	place map[namespace.NodeID]int // in found
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

// note remembers that e was found by name.
func (l *lately) note(e *namespace.Entry, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.place[e.ID]; ok {
		l.found[i] = found{now, *e}
		return
	}
	if l.place == nil {
		l.place = make(map[namespace.NodeID]int)
	}
	if len(l.found) < latelyMost {
		l.found = append(l.found, found{})
	}
	at := &l.found[l.next]
	if l.place[at.entry.ID] == l.next {
		delete(l.place, at.entry.ID)
	}
	*at = found{now, *e}
	l.place[e.ID] = l.next
	l.next = (l.next + 1) % latelyMost
}

// shown notes how what was found shows now: its bytes may have come since.
func (l *lately) shown(e *namespace.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.place[e.ID]; ok {
		l.found[i].entry = *e
	}
}

// find is how the node id, found by name in the last moments, showed last.
func (l *lately) find(id namespace.NodeID, now int64) (e namespace.Entry, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.place[id]
	if !ok {
		return e, false
	}
	f := &l.found[i]
	return f.entry, f.when >= now-int64(latelyLife) && f.when <= now // the clock may have been put back
}
