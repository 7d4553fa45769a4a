package namespace

import (
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// repeatPlaces is rule S8: until a restored device has audited with everybody, what it works
// on may long have been collected elsewhere. So each operation says again, unchanged, where the
// nodes it gave bytes or a place lie, and all directories above them.
func (t *tx) repeatPlaces() {
	if !t.unaudited {
		return
	}
	for _, w := range t.written { // those added here need no repeating
		if w.id.kind != regPlace && w.id.kind != regBytes || w.v.Class == merge.Nothing {
			continue
		}
		t.repeat(w.id.node)
		if p := t.node(w.id.node).P.Winner(); p != nil {
			t.repeat(p.Place.Parent)
			t.repeat(p.Place.Prev)
		}
	}
}

// unaudited reports whether this device was restored and still owes audits.
func (r *Replica) unaudited() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.self.Incarnation > 1 && len(r.line.owed) > 0
}

func (t *tx) repeat(n NodeID) {
	if n == Root || n.IsZero() {
		return
	}
	if p := t.node(n).P.Winner(); p != nil && p.Dot.Writer != t.author {
		t.repeatPlace(n, p)
	}
}

// repeatPlace says again where n lies, which p says, and repeats what that is in.
func (t *tx) repeatPlace(n NodeID, p *merge.Version) {
	if s, ok := t.show(n); ok && !s.it.IsDir() && s.it.Displaced() { // its name tells who placed it
		t.pin(&s.group, s.it)
	} else {
		id := regID{node: n, kind: regPlace}
		t.write(id, &merge.Version{T: p.T, Class: merge.Placed, Place: p.Place}, t.held(id))
	}
	t.repeat(p.Place.Prev)
	t.repeat(p.Place.Parent)
}
