package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// folder is a displayed directory: the directories merged into it, smallest id first (N12).
type folder struct {
	id      NodeID
	members []NodeID
}

// folder returns the displayed directory that contains the directory id.
func (t *tx) folder(id NodeID) folder {
	alone := folder{id, []NodeID{id}}
	if id == Root || t.state.dirDups == 0 {
		return alone
	}
	cached := t.caches != nil && (t.changes == nil || !t.reshaped)
	if cached {
		if f, ok := t.caches.folders.get(id); ok {
			return f
		}
	}
	n := t.node(id)
	if !n.placed {
		return alone
	}
	var ids []NodeID
	for _, m := range t.folder(n.at.parent).members {
		for _, x := range t.name(m, n.at.name).nodes {
			if x.IsDir() {
				ids = append(ids, x)
			}
		}
	}
	if len(ids) == 0 { // only in a damaged store
		return alone
	}
	slices.SortFunc(ids, NodeID.Compare)
	f := folder{ids[0], ids}
	if cached && t.err == nil {
		t.caches.folders.set(id, f)
	}
	return f
}

// open returns the folder of a directory that a caller names: NotDir, NotExist.
func (t *tx) open(op string, id NodeID) (folder, error) {
	if !id.IsDir() {
		return folder{}, errs.E(op, errs.NotDir, "", nil)
	}
	if id != Root && !t.node(id).placed {
		return folder{}, errs.E(op, errs.NotExist, "directory", nil)
	}
	return t.folder(id), nil
}

// empty reports whether nothing lives in the folder.
func (t *tx) empty(f folder) bool {
	for _, m := range f.members {
		if t.dir(m).kids > 0 {
			return false
		}
	}
	return true
}

// stored reports whether a node is placed in f under the name.
func (t *tx) stored(f folder, name string) bool {
	for _, m := range f.members {
		if len(t.name(m, name).nodes) > 0 {
			return true
		}
	}
	return false
}

// group lays out what f shows for one stored name.
func (t *tx) group(f folder, name string) merge.NameGroup {
	var kids []merge.Kid
	for _, m := range f.members {
		for _, id := range t.name(m, name).nodes {
			n := t.node(id)
			p := n.P.Winner()
			gs, _ := n.parts()
			if p == nil || len(gs) == 0 && !id.IsDir() { // only in a damaged store
				t.fail(corruptRow("name"))
				continue
			}
			kids = append(kids, merge.Kid{ID: id, Place: p, Groups: gs})
			if of := t.lent(n); of != nil {
				copies, _ := of.parts()
				kids = append(kids, merge.Kid{ID: of.ID, Place: p, Groups: copies, Lent: true})
			}
		}
	}
	return merge.Layout(kids, merge.Around{
		Alive:  func(id NodeID) bool { n := t.node(id); return n.Alive() },
		Stored: func(s string) bool { return t.stored(f, s) },
		Names:  t.r.names,
	})
}

// find returns what f shows under a name, nil if nothing.
func (t *tx) find(f folder, name string) *merge.Shown {
	if g := t.group(f, name); g.Winner != nil {
		return g.Winner
	}
	for _, raw := range t.derivedFrom(f, name) {
		g := t.group(f, raw)
		for _, s := range g.Derived {
			if s.Name == name {
				return s
			}
		}
	}
	return nil
}

// derivedFrom lists the stored names of f from which name could be derived.
func (t *tx) derivedFrom(f folder, name string) []string {
	raw, id, ok := merge.ParseDerived(name)
	if !ok {
		return nil
	}
	names := []string{raw}
	if !id.IsZero() {
		for _, x := range []NodeID{id, t.origin(id)} {
			if n := t.node(x); n.placed && !x.IsDir() && slices.Contains(f.members, n.at.parent) && n.at.name != raw {
				names = append(names, n.at.name)
			}
		}
	}
	return names
}

// showing is where a node is shown.
type showing struct {
	in    folder
	group merge.NameGroup
	it    *merge.Shown
}

// show finds how a node is shown: a node of its own, a member of a merged directory, a twin,
// or a virtual copy; a nameless file is shown by a link. It is false for what is shown nowhere,
// and for the root.
func (t *tx) show(id NodeID) (showing, bool) {
	n := t.node(id)
	switch {
	case n.placed && !n.by.IsZero():
		id = n.by
	case !n.placed:
		of := t.origin(id)
		if of.IsZero() {
			return showing{}, false
		}
		n = t.node(of)
		if !n.placed {
			return showing{}, false
		}
	}
	s := showing{in: t.folder(n.at.parent)}
	s.group = t.group(s.in, n.at.name)
	for _, e := range s.group.All() {
		if e.ID == id || slices.Contains(e.Members, id) || slices.Contains(e.Twins, id) {
			s.it = e
			return s, true
		}
	}
	return showing{}, false
}

// within reports whether the displayed directory x is anc or lies below it.
func (t *tx) within(x, anc NodeID) bool {
	anc = t.folder(anc).id
	for range maxDepth {
		x = t.folder(x).id
		if x == anc {
			return true
		}
		n := t.node(x)
		if x == Root || !n.placed {
			return false
		}
		x = n.at.parent
	}
	return false
}

// maxDepth ends walks towards the root; only a damaged store could reach it.
const maxDepth = 1 << 16
