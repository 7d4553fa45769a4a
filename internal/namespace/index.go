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

// linksTo returns the living hard link nodes of a file, by id.
func (t *tx) linksTo(id NodeID) []NodeID {
	var out []NodeID
	if t.state.links > 0 {
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
