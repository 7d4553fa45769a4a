package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// changes is what a writing transaction collects beside the decoded rows.
type changes struct {
	remote    bool
	reshaped  bool         // a directory came, went or changed its place
	next      uint64       // sequence number of the next local write
	author    ident.Writer // of local writes
	unaudited bool         // they come from a restored device that has not audited with everybody
	written   []written
	also      func(*kv.Batch) // adds rows of its own to the commit
	dotRows   map[Dot]dotChange
	leftRows  []leftRow         // of versions that go from one register to another
	origins   map[NodeID]NodeID // rows of tableOrigin to write; zero: to delete
	linkRows  map[linkKey]bool  // rows of tableLinks to write or delete
	queue     []*node           // touched since the last settle
	changed   map[nameKey]bool  // names whose row or entries changed
	attrs     map[NodeID]bool   // nodes whose attributes changed
	policed   map[NodeID]bool   // nodes whose placement changed
	drops     bool              // versions were dropped with nothing in their place (disown, audits)
}

// written is a local write of this transaction, in order of sequence.
type written struct {
	id regID
	v  *merge.Version
}

type linkKey struct{ file, link NodeID }

// dotChange is what becomes of a row of tableDots.
type dotChange struct {
	id    regID
	order int
	live  bool
}

type leftRow struct {
	dot Dot
	dotChange
}

func newChanges() *changes {
	return &changes{dotRows: map[Dot]dotChange{}, origins: map[NodeID]NodeID{}, linkRows: map[linkKey]bool{},
		changed: map[nameKey]bool{}, attrs: map[NodeID]bool{}, policed: map[NodeID]bool{}}
}

// held returns the register's present value.
func (t *tx) held(id regID) merge.Register {
	if id.inNode() {
		return *register(&t.node(id.node).Node, id.kind)
	}
	return t.sub(id).reg
}

// replace gives a register a new value and keeps the index of live versions.
func (t *tx) replace(id regID, now merge.Register) {
	old := t.held(id)
	for _, u := range old {
		if !slices.Contains(now, u) {
			t.refer(u.Place, ^uint64(0))
			if c, ok := t.dotRows[u.Dot]; ok && c.live {
				delete(t.dotRows, u.Dot) // came and went within the transaction
			} else {
				t.dotRows[u.Dot] = dotChange{id, u.Class.Order(), false}
			}
		}
	}
	for _, v := range now {
		if !slices.Contains(old, v) {
			t.refer(v.Place, 1)
			if c, ok := t.dotRows[v.Dot]; ok && c.id != id { // it has left another register
				t.leftRows = append(t.leftRows, leftRow{v.Dot, c})
			}
			t.dotRows[v.Dot] = dotChange{id, v.Class.Order(), true}
		}
	}
	if !id.inNode() {
		s := t.sub(id)
		if count := t.state.subs(id.kind); count != nil && (len(s.reg) == 0) != (len(now) == 0) {
			if len(now) > 0 {
				*count++
			} else {
				*count--
			}
		}
		s.reg, s.dirty = now, true
	} else {
		n := t.node(id.node)
		if of := n.link(); !of.IsZero() {
			t.node(of) // where it shows may depend on n, so first as it is (N18)
		}
		*register(&n.Node, id.kind) = now
		n.dirty = true
		if id.kind == regBytes {
			n.split = false
		}
		if id.kind == regPlace || id.kind == regBytes {
			t.enqueue(n)
			return
		}
	}
	switch id.kind {
	case regPolicy:
		t.policed[id.node] = true
	case regBlind:
	default:
		t.attrs[id.node] = true
	}
}

// refer counts the placements that name a directory: as long as there is one, the directory
// must not be collected (S7).
func (t *tx) refer(p *merge.Place, by uint64) {
	if p == nil {
		return
	}
	for _, dir := range [2]NodeID{p.Parent, p.Prev} {
		if !dir.IsZero() {
			d := t.dir(dir)
			d.refs += by
			d.dirty = true
		}
	}
}

func (t *tx) enqueue(n *node) {
	if !n.queued {
		n.queued = true
		t.queue = append(t.queue, n)
	}
}

// write makes a local version that overwrites exactly cover (S2), and settles the view. v has
// its class, stamp and value.
func (t *tx) write(id regID, v *merge.Version, cover []*merge.Version) {
	v.Dot = Dot{Writer: t.author, Seq: t.next}
	t.next++
	t.replace(id, t.held(id).Write(v, cover))
	t.written = append(t.written, written{id, v})
	t.settle()
	if id.kind == regPlace {
		t.sayPlace(v.Place.Parent)
		t.sayPlace(v.Place.Prev)
	}
}

// sayPlace says unchanged where something removed lies that is named anew, or comes back: others may
// have forgotten it (S7), and what is placed in it would hang nowhere.
func (t *tx) sayPlace(n NodeID) {
	if n.IsZero() || n == Root {
		return
	}
	x := t.node(n)
	if p := x.P.Winner(); p != nil && !x.Alive() && !t.wrote(p.Dot) {
		id := regID{node: n, kind: regPlace}
		t.write(id, &merge.Version{T: p.T, Class: merge.Placed, Place: p.Place}, t.held(id))
	}
}

// wrote reports whether a version was made by this transaction.
func (t *tx) wrote(d Dot) bool {
	return len(t.written) > 0 && d.Writer == t.author && d.Seq >= t.written[0].v.Dot.Seq
}

// insert merges a version from elsewhere; the caller settles.
func (t *tx) insert(id regID, v *merge.Version) {
	if now, changed := t.held(id).Insert(v, t.doubtful); changed {
		t.replace(id, now)
	}
}

// stamp is the stamp of an operation that covers what the nodes hold: the clock's, but above
// everything there (the design's T).
func (t *tx) stamp(nodes ...NodeID) merge.Stamp {
	s := t.r.tick()
	for _, n := range nodes {
		s = max(s, t.node(n).Stamp()+1)
	}
	return s
}
