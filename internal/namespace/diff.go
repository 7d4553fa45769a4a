package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// diff lists what a transaction changes of what is shown, exactly: every name that stands for
// something else, every node that shows other bytes or attributes. It compares with the store,
// so it runs before the commit. Needs writing.
func (t *tx) diff() *differ {
	d := &differ{now: t, old: t.r.reader(), told: t.r.watch.busy()}
	if !d.told && !t.r.keepsHistory() {
		return d
	}
	d.seen, d.done = map[changeKey]bool{}, map[nameKey]bool{}
	for k := range t.changed {
		d.nameRow(k)
	}
	for _, n := range t.nodes {
		switch {
		case n.dirty && !n.ID.IsDir():
			d.bytes(n)
		case n.dirty && t.drops && n.was.placed && !n.placed: // when it is back, other names may be gone from it
			d.reshaped(n.ID)
		}
	}
	for id := range t.attrs {
		d.add(Change{What: AttrChanged, Node: id})
	}
	for id := range t.policed {
		d.add(Change{What: PlacementChanged, Node: id})
	}
	t.fail(d.old.err)
	return d
}

type differ struct {
	now, old *tx
	told     bool // somebody watches; else only what was there before is of interest, for history
	seen     map[changeKey]bool
	done     map[nameKey]bool // layouts compared
	out      []Change
}

func (d *differ) add(c Change) {
	if !d.told && (c.What == AttrChanged || c.What == NameChanged && c.Old.IsZero()) {
		return
	}
	c.Remote = d.now.remote
	if k := c.key(); !d.seen[k] {
		d.seen[k] = true
		d.out = append(d.out, c)
	}
}

// bytes compares what a file shows. A conflict copy that becomes a file of its own, or stops
// being one, keeps its id.
func (d *differ) bytes(n *node) {
	now := n.sum()
	for _, id := range now.copies {
		what := AttrChanged
		if !slices.Contains(n.was.copies, id) && len(d.now.node(id).C) > 0 { // it was a file once: somebody may have that open
			what = ContentChanged
		}
		d.add(Change{What: what, Node: id})
	}
	for _, id := range n.was.copies { // what comes next under this id looks like a new file
		if !slices.Contains(now.copies, id) && !d.now.node(id).placed {
			d.add(Change{What: ContentChanged, Node: id})
		}
	}
	switch {
	case n.was.placed && now.placed:
		if n.was.bytes != now.bytes {
			d.add(Change{What: ContentChanged, Node: n.ID})
		} else {
			d.add(Change{What: AttrChanged, Node: n.ID})
		}
	case now.placed && len(n.before.C) > 0: // it is back: somebody may have it open as it was
		d.add(Change{What: ContentChanged, Node: n.ID})
	case (n.was.placed || d.now.drops && len(n.before.C) > 0) && len(n.C) == 0: // all of it was disowned, and what comes next looks like a new file
		d.add(Change{What: ContentChanged, Node: n.ID})
	case n.was.placed != now.placed && d.now.state.copies+d.old.state.copies > 0:
		was, ok1 := d.old.entryOf(n.ID)
		now, ok2 := d.now.entryOf(n.ID)
		if ok1 && ok2 {
			if was.Content != now.Content {
				d.add(Change{What: ContentChanged, Node: n.ID})
			} else {
				d.add(Change{What: AttrChanged, Node: n.ID})
			}
		}
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
	if len(row.was) > 1 || len(row.nodes) > 1 || !d.alone(k.parent) {
		return false
	}
	if _, _, derived := merge.ParseDerived(k.name); derived {
		return false
	}
	for _, list := range [][]NodeID{row.was, row.nodes} {
		for _, id := range list {
			n := d.now.node(id)
			if d.old.state.links > 0 && len(d.old.file(d.old.node(id)).C) > 1 { // what was a link is none any more
				return false
			}
			for _, x := range []*node{n, d.now.file(n)} { // copies of a nameless file are beside its link
				if len(x.was.copies) > 0 || len(x.C) > 1 {
					return false
				}
			}
		}
	}
	return true
}

// alone reports whether a directory is merged with no other, before and after.
func (d *differ) alone(dir NodeID) bool {
	return d.now.state.dirDups+d.old.state.dirDups == 0 || len(d.now.folder(dir).members) == 1 && len(d.old.folder(dir).members) == 1
}

// shownID is the id under which a node alone in its row is shown: a hard link's is its file's.
func (d *differ) shownID(t *tx, id NodeID) NodeID {
	return t.file(t.node(id)).ID
}

// layout compares all that is shown for a stored name, derived entries included.
func (d *differ) layout(k nameKey) {
	if d.done[k] || len(d.out) > maxWaiting { // more become an Overflow anyway
		return
	}
	d.done[k] = true
	type at struct {
		dir  NodeID
		name string
	}
	names := map[at]bool{}
	gather := func(t *tx) (merged []NodeID) {
		if k.parent != Root && !t.node(k.parent).placed {
			return nil
		}
		f := t.folder(k.parent)
		note := func(name string) {
			for _, m := range f.members { // who holds an id from before they were merged hears of it, too
				names[at{m, name}] = true
			}
		}
		note(k.name)
		for _, raw := range append([]string{k.name}, t.derivedFrom(f, k.name)...) {
			g := t.group(f, raw)
			for _, s := range g.All() {
				note(s.Name)
				if len(s.Members) > 1 {
					merged = append(merged, s.Members...)
				}
			}
		}
		return merged
	}
	before, after := gather(d.old), gather(d.now)
	links := d.now.state.links+d.old.state.links > 0
	for a := range names {
		switch was, now := d.old.shows(a.dir, a.name), d.now.shows(a.dir, a.name); {
		case was != now:
			d.add(Change{What: NameChanged, Parent: a.dir, Name: a.name, Node: now, Old: was})
		case links && !now.IsZero() && !now.IsDir(): // two hard links may have become one name, or one two
			d.add(Change{What: AttrChanged, Node: now})
		}
	}
	if !slices.Equal(before, after) {
		for _, m := range append(before, after...) {
			d.reshaped(m)
		}
	}
}

// reshaped compares what every name shows in a directory that is now merged with others, or
// no longer.
func (d *differ) reshaped(m NodeID) {
	var names []string
	d.now.fail(d.old.src.Scan(d.old.keys.names(m), func(_ kv.Key, value []byte) bool {
		row, err := decodeName(value)
		d.now.fail(err)
		names = append(names, row.name)
		return err == nil && len(names) <= maxWaiting
	}))
	for _, n := range names {
		d.layout(nameKey{m, n})
	}
}

// shows is the id that dir shows under a name, zero for nothing.
func (t *tx) shows(dir NodeID, name string) NodeID {
	if dir != Root && !t.node(dir).placed {
		return NodeID{}
	}
	f := t.folder(dir)
	if s := t.find(f, name); s != nil {
		return t.entry(f, s).ID
	}
	return NodeID{}
}
