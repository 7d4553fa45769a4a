package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/kv"
)

// origin returns the file whose register holds the bytes of the conflict copy id, zero if none.
func (t *tx) origin(id NodeID) (of NodeID) {
	if t.changes != nil {
		if of, ok := t.origins[id]; ok {
			return of
		}
	}
	if t.state.copies == 0 || id.IsDir() {
		return of
	}
	if row := t.get(t.keys.origin(id)); len(row) == len(of) {
		copy(of[:], row)
	}
	return of
}

// link is the file to which a node is a living hard link, zero if it is none.
func (n *node) link() (to NodeID) {
	if n.ID.IsDir() || len(n.P) == 0 {
		return to
	}
	if gs, _ := n.parts(); len(gs) > 0 {
		to = gs[0].Bytes.Link
	}
	return to
}

// linksTo returns the living hard link nodes of a file, by id.
func (t *tx) linksTo(id NodeID) []NodeID {
	var out []NodeID
	if t.state.links > 0 && t.r.linked.may(id) {
		out = t.storedLinks(id)
	}
	if t.changes == nil || len(t.linkRows) == 0 {
		return out
	}
	for k, there := range t.linkRows {
		if k.file == id {
			out = slices.DeleteFunc(out, func(l NodeID) bool { return l == k.link })
			if there {
				out = append(out, k.link)
			}
		}
	}
	slices.SortFunc(out, NodeID.Compare)
	return out
}

// firstLink is the first living hard link of a file, zero if there is none.
func (t *tx) firstLink(id NodeID) (first NodeID) {
	for _, l := range t.linksTo(id) {
		if n := t.node(l); len(n.P) > 0 && (first.IsZero() || n.Older(&t.node(first).Node)) {
			first = l
		}
	}
	return first
}

func (t *tx) storedLinks(id NodeID) (out []NodeID) {
	prefix := t.keys.links(id)
	t.fail(t.src.ScanKeys(prefix, func(k kv.Key) bool {
		if rest := k[len(prefix):]; len(rest) == len(NodeID{}) {
			out = append(out, NodeID(rest))
		}
		return true
	}))
	return out
}

// lent returns the nameless file of which n is the first link (N18), nil if there is none.
func (t *tx) lent(n *node) *node {
	if to := n.link(); !to.IsZero() {
		if f := t.node(to); f.by == n.ID {
			return f
		}
	}
	return nil
}

// file returns the file that a hard link names, n itself if it is none or names nothing that is
// shown.
func (t *tx) file(n *node) *node {
	if to := n.link(); !to.IsZero() {
		if f := t.node(to); f.placed && f.link().IsZero() {
			return f
		}
	}
	return n
}

// linkNames is how many names the hard links of a file show: those that are twins show one.
func (t *tx) linkNames(id NodeID) uint32 {
	links := t.linksTo(id)
	if len(links) < 2 { // nearly always
		return uint32(len(links))
	}
	names := map[nameKey]bool{}
	for _, l := range links {
		n := t.node(l)
		names[nameKey{t.folder(n.at.parent).id, n.at.name}] = true
	}
	return uint32(len(names))
}
