package namespace

import (
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// diff lists what a transaction changes of what is shown, exactly: every name that stands for
// something else, every node that shows other bytes or attributes. It compares with the store,
// so it runs before the commit. Needs writing.
func (t *tx) diff() []Change {
	if !t.r.watch.busy() {
		return nil
	}
	d := differ{now: t, old: t.r.reader(t.r.cfg.DB), seen: map[changeKey]bool{}}
	for k := range t.changed {
		d.nameRow(k)
	}
	for _, n := range t.nodes {
		if now := n.sum(); n.was.placed && now.placed && !n.ID.IsDir() {
			if n.was.bytes != now.bytes {
				d.add(Change{What: ContentChanged, Node: n.ID})
			} else if n.dirty {
				d.add(Change{What: AttrChanged, Node: n.ID})
			}
		}
	}
	for id := range t.attrs {
		d.add(Change{What: AttrChanged, Node: id})
	}
	for id := range t.policed {
		d.add(Change{What: PlacementChanged, Node: id})
	}
	t.fail(d.old.err)
	return d.out
}

type differ struct {
	now, old *tx
	seen     map[changeKey]bool
	out      []Change
}

func (d *differ) add(c Change) {
	c.Remote = d.now.remote
	if k := c.key(); !d.seen[k] {
		d.seen[k] = true
		d.out = append(d.out, c)
	}
}

// nameRow compares what one stored name shows, before and after.
func (d *differ) nameRow(k nameKey) {
	row := d.now.name(k.parent, k.name)
	if !d.plain(k, row) {
		d.layout(k)
		return
	}
	var was, now NodeID
	if len(row.was) > 0 {
		was = d.shownID(d.old, row.was[0])
	}
	if len(row.nodes) > 0 {
		now = d.shownID(d.now, row.nodes[0])
	}
	if was != now {
		d.add(Change{What: NameChanged, Parent: k.parent, Name: k.name, Node: now, Old: was})
	}
}

// plain reports whether the name shows at most one node and no copies, before and after.
func (d *differ) plain(k nameKey, row *name) bool {
	if len(row.was) > 1 || len(row.nodes) > 1 || d.now.state.dirDups > 0 || d.old.state.dirDups > 0 {
		return false
	}
	if _, _, derived := merge.ParseDerived(k.name); derived {
		return false
	}
	for _, list := range [][]NodeID{row.was, row.nodes} {
		for _, id := range list {
			n := d.now.node(id)
			if len(n.was.copies) > 0 || len(n.C) > 1 {
				return false
			}
		}
	}
	return true
}

// shownID is the id under which a node alone in its row is shown: a hard link's is its file's.
func (d *differ) shownID(t *tx, id NodeID) NodeID {
	gs, _ := t.node(id).parts()
	if id.IsDir() || len(gs) == 0 || gs[0].Bytes.Link.IsZero() {
		return id
	}
	if x := t.node(gs[0].Bytes.Link); x.placed {
		return x.ID
	}
	return id
}

// layout compares all that is shown for a stored name, derived entries included.
func (d *differ) layout(k nameKey) {
	type at struct {
		dir  NodeID
		name string
	}
	was, now := map[at]NodeID{}, map[at]NodeID{}
	gather := func(t *tx, into map[at]NodeID) (merged []NodeID) {
		if k.parent != Root && !t.node(k.parent).placed {
			return nil
		}
		f := t.folder(k.parent)
		for _, raw := range append([]string{k.name}, t.derivedFrom(f, k.name)...) {
			g := t.group(f, raw)
			for _, s := range g.All() {
				e := t.entry(f, s)
				into[at{f.id, s.Name}] = e.ID
				if len(s.Members) > 1 {
					merged = s.Members
				}
			}
		}
		return merged
	}
	before, after := gather(d.old, was), gather(d.now, now)
	for a, id := range was {
		if now[a] != id {
			d.add(Change{What: NameChanged, Parent: a.dir, Name: a.name, Node: now[a], Old: id})
		}
	}
	for a, id := range now {
		if was[a].IsZero() {
			d.add(Change{What: NameChanged, Parent: a.dir, Name: a.name, Node: id})
		}
	}
	if len(before) != len(after) {
		d.reshaped(append(before, after...))
	}
}

// reshaped tells of every name in directories that are now merged with others, or no longer.
func (d *differ) reshaped(members []NodeID) {
	for _, m := range members {
		parents := []NodeID{d.old.folder(m).id, d.now.folder(m).id}
		d.now.fail(d.old.src.Scan(d.old.keys.names(m), func(_ kv.Key, value []byte) bool {
			row, err := decodeName(value)
			if d.now.fail(err); err != nil {
				return false
			}
			for _, p := range parents {
				c := Change{What: NameChanged, Parent: p, Name: row.name}
				if s := d.now.find(d.now.folder(p), row.name); s != nil {
					c.Node = s.ID
				}
				d.add(c)
			}
			return len(d.out) < maxWaiting // more become an Overflow anyway
		}))
	}
}
