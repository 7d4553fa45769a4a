package namespace

import (
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/namespace/merge"
)

// settle brings the rows of names in line with the registers changed since the last call. The
// invariant: a node stands in the row of (parent after cuts, name) iff it exists or something
// that exists lives in it. Rows are first taken away, then added, so that no intermediate
// state has a cycle in which dead directories could keep each other.
func (t *tx) settle() {
	queue := t.queue
	t.queue = nil
	queue = t.lend(t.cut(queue))
	for _, n := range queue {
		if n.placed && (len(n.P) == 0 || t.moves(n)) {
			t.unplace(n)
		}
	}
	t.namesAhead(queue)
	for _, n := range queue {
		n.queued = false
		switch {
		case n.ID == Root || len(n.P) == 0:
		case t.supported(n) && !n.placed:
			t.place(n)
		case !t.supported(n) && n.placed:
			t.unplace(n)
		default:
			if n.placed {
				t.changed[n.at] = true // its entry may show other bytes or copies
			}
		}
		if !n.ID.IsDir() {
			t.index(n)
		}
	}
}

// cut finds the cycles anew if a directory was placed elsewhere (N15). Nodes that are cut, or
// no longer, or to another place, join the queue.
func (t *tx) cut(queue []*node) []*node {
	starts := slices.Collect(maps.Keys(t.state.cuts))
	moved := false
	for _, n := range queue {
		var parent NodeID
		if p := n.P.Winner(); p != nil {
			parent = p.Place.Parent
		}
		if !n.ID.IsDir() || parent == n.rawParent && (len(t.state.cuts) == 0 || parent.IsZero()) {
			continue
		}
		moved = true
		n.rawParent = parent
		starts = append(starts, n.ID)
	}
	if !moved {
		return queue
	}
	places := func(id NodeID) *merge.Version { return t.node(id).P.Winner() }
	found := map[NodeID]bool{}
	for _, s := range starts {
		if c, ok := merge.CutOn(s, places); ok {
			found[c] = true
		}
	}
	if len(found) == 0 && len(t.state.cuts) == 0 {
		return queue
	}
	old := t.state.cuts
	t.state.cuts = merge.Redirect(slices.Collect(maps.Keys(found)), places)
	for _, cuts := range []map[NodeID]NodeID{old, t.state.cuts} {
		for c := range cuts {
			if n := t.node(c); !n.queued && old[c] != t.state.cuts[c] {
				n.queued = true
				queue = append(queue, n)
			}
		}
	}
	return queue
}

// lend keeps the rows that lead from a file to its living hard links. Nameless files whose links
// changed join the queue: they may show elsewhere now (N18).
func (t *tx) lend(queue []*node) []*node {
	for _, n := range queue {
		was, now := n.indexed.link, n.link()
		for _, to := range []NodeID{was, now} {
			if to.IsZero() {
				continue
			}
			f := t.node(to) // with the links as they were, if it was not loaded before
			if p := f.P.Winner(); p != nil && p.Place.Gone && !f.queued {
				f.queued = true
				queue = append(queue, f)
			}
			if was != now {
				t.linkRows[linkKey{to, n.ID}] = to == now
				t.attrs[to] = true // its link count
			}
		}
		n.indexed.link = now
	}
	return queue
}

// moves reports whether a node belongs elsewhere than where it stands.
func (t *tx) moves(n *node) bool {
	at, by := t.target(n)
	return at != n.at || by != n.by
}

// place adds a node to the row of its name, and the directory above if it now has a reason
// to be shown. A nameless file has its link's row.
func (t *tx) place(n *node) {
	n.placed = true
	if n.at, n.by = t.target(n); !n.by.IsZero() {
		t.changed[n.at] = true
		return
	}
	row := t.name(n.at.parent, n.at.name)
	before := row.dirs()
	i, _ := slices.BinarySearchFunc(row.nodes, n.ID, NodeID.Compare)
	row.nodes = slices.Insert(row.nodes, i, n.ID)
	t.renamed(n, row, before)
	p, d := t.node(n.at.parent), t.dir(n.at.parent) // p as it was before d changes
	d.kids++
	if d.kids == 1 && p.ID != Root && len(p.P) > 0 && !p.placed {
		t.place(p)
	}
}

// unplace is the inverse of place.
func (t *tx) unplace(n *node) {
	n.placed = false
	if !n.by.IsZero() {
		t.changed[n.at] = true
		return
	}
	row := t.name(n.at.parent, n.at.name)
	before := row.dirs()
	row.nodes = slices.DeleteFunc(row.nodes, func(x NodeID) bool { return x == n.ID })
	t.renamed(n, row, before)
	p, d := t.node(n.at.parent), t.dir(n.at.parent)
	d.kids--
	if d.kids == 0 && p.placed && !p.Alive() {
		t.unplace(p)
	}
}

// renamed notes that the row of n's name has changed.
func (t *tx) renamed(n *node, row *name, dirsBefore int) {
	row.dirty = true
	t.changed[n.at] = true
	if n.ID.IsDir() {
		t.reshaped = true
	}
	if to := n.link(); !to.IsZero() {
		t.attrs[to] = true // links of one name count once, and this one may have had a twin, or have one now
	}
	if dups := row.dirs() > 1; dups != (dirsBefore > 1) {
		if dups {
			t.state.dirDups++
		} else {
			t.state.dirDups--
		}
	}
	d := t.dir(n.at.parent)
	d.dirty = true
	d.changed = max(d.changed, n.P.Stamp(), n.C.Stamp())
}

// index keeps the rows that lead from conflict copies to their file, and tells the hard links of a
// file that comes or goes.
func (t *tx) index(n *node) {
	old, now := n.indexed, n.sum()
	n.indexed = indexed{now.placed, old.link, now.copies}
	for _, id := range old.copies {
		if !slices.Contains(now.copies, id) {
			t.origins[id] = NodeID{}
		}
	}
	for _, id := range now.copies {
		t.origins[id] = n.ID
	}
	if old.placed != now.placed {
		for _, l := range t.linksTo(n.ID) { // they show something else now
			if x := t.node(l); x.placed {
				t.changed[x.at] = true
			}
		}
	}
	if of := t.origin(n.ID); !of.IsZero() { // whether the copy is virtual depends on n
		if o := t.node(of); o.placed {
			t.changed[o.at] = true
		}
	}
}
