package namespace

// scratch is memory that the transactions of a session use one after the other: making it anew for
// each was a third of what the garbage collector had to do in a first sync. Needs writing.
type scratch struct {
	size    int // in records
	nodes   map[NodeID]*node
	names   map[nameKey]*name
	dotRows map[Dot]dotChange
	spare   []changing
}

// mostScratch is how many records it is kept for when nobody uses it.
const mostScratch = 8 << 10

// reserve gives memory for the changes of n records.
func (m *scratch) reserve(n int) *scratch {
	if n > m.size {
		*m = scratch{n, make(map[NodeID]*node, n), make(map[nameKey]*name, n), make(map[Dot]dotChange, n), make([]changing, n)}
	}
	return m
}

// release forgets what a transaction left, which has ended; m is nil if it took none.
func (m *scratch) release() {
	switch {
	case m == nil:
		return
	case m.size > mostScratch:
		*m = scratch{}
		return
	}
	clear(m.nodes)
	clear(m.names)
	clear(m.dotRows)
	clear(m.spare)
}
