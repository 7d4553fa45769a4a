package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// writerTable numbers the writers, so that rows need not spell them out. Numbers are never
// reused. It only grows, by one goroutine at a time; readers use a copy of the slice header.
type writerTable struct {
	list []ident.Writer
	num  map[ident.Writer]uint32
}

func (t *writerTable) number(w ident.Writer) uint32 {
	n, ok := t.num[w]
	if !ok {
		n = uint32(len(t.list))
		t.list = append(t.list, w)
		t.num[w] = n
	}
	return n
}

// numberOf is the number of a writer of which something is held.
func (r *Replica) numberOf(w ident.Writer) (n uint32, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	i := slices.Index(r.writers, w)
	return uint32(i), i >= 0
}
