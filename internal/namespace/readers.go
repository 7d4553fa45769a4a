package namespace

import "sync"

// readers keeps transactions that only read, with all that they have decoded, until the next
// commit: most reads ask for what one just before them has asked for.
type readers struct {
	mu   sync.Mutex
	idle []*tx
}

const (
	maxReaders = 4
	maxDecoded = 1024 // nodes, names, directories and other registers in each
)

// take returns one of the present state, nil if there is none. Needs Replica.mu.
func (r *readers) take() *tx {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.idle)
	if n == 0 {
		return nil
	}
	t := r.idle[n-1]
	r.idle = r.idle[:n-1]
	return t
}

// put gives one back. Needs Replica.mu since it was taken.
func (r *readers) put(t *tx) {
	if t.err != nil || len(t.nodes)+len(t.names)+len(t.dirs)+len(t.subs) > maxDecoded {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.idle) < maxReaders {
		r.idle = append(r.idle, t)
	}
}

// drop forgets all: the state has changed. Needs Replica.mu for writing.
func (r *readers) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = nil
}
