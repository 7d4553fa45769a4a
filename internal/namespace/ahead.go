package namespace

import (
	"bytes"
	"slices"

	"github.com/shelffs/shelf/internal/kv"
)

// Whoever merges many records, or lists a directory, knows beforehand which rows he will ask for, and reads them in one
// walk over the store. Most lie side by side; and of those that are not there yet, which in a
// first sync is nearly all, a single look at the gap tells.

// aheadFrom is how many rows are worth a walk; fewer are read one by one.
const aheadFrom = 8

// nodesAhead loads nodes.
func (t *tx) nodesAhead(ids []NodeID) {
	ids = slices.DeleteFunc(ids, func(id NodeID) bool { return t.nodes[id] != nil || t.caches != nil && t.caches.nodes.has(id) })
	slices.SortFunc(ids, NodeID.Compare)
	ids = slices.Compact(ids)
	if len(ids) < aheadFrom {
		return
	}
	keys, nodes := make([]kv.Key, len(ids)), make([]*node, len(ids))
	room := make(kv.Key, len(ids)*nodeKeyLen)
	if t.changes != nil && len(t.spare) < len(ids) {
		t.spare = make([]changing, len(ids))
	}
	for i, id := range ids {
		keys[i] = t.keys.appendNode(room[i*nodeKeyLen:i*nodeKeyLen], id)
		nodes[i] = t.fresh(id)
	}
	t.fail(t.src.Pick(keys, func(i int, row []byte) bool {
		err := decodeNode(ids[i], row, t.writers, &nodes[i].Node)
		t.fail(err)
		return err == nil
	}))
	if t.err != nil {
		return
	}
	for _, n := range nodes {
		if t.changes == nil && t.caches != nil {
			t.caches.nodes.set(n.ID, n.Node)
		}
		t.loaded(n)
	}
}

// namesAhead loads the rows of the names that nodes are about to get.
func (t *tx) namesAhead(nodes []*node) {
	if len(nodes) < aheadFrom {
		return
	}
	rows := make([]*name, 0, len(nodes))
	for _, n := range nodes {
		if n.placed || n.ID == Root || len(n.P) == 0 || !t.supported(n) {
			continue
		}
		if at, by := t.target(n); by.IsZero() && t.names[at] == nil {
			x := &name{nameRow: nameRow{name: at.name}, key: t.keys.name(at.parent, at.name)}
			t.setName(at, x)
			rows = append(rows, x)
		}
	}
	slices.SortFunc(rows, func(a, b *name) int { return bytes.Compare(a.key, b.key) })
	keys := make([]kv.Key, len(rows))
	for i, x := range rows {
		keys[i] = x.key
	}
	t.fail(t.src.Pick(keys, func(i int, row []byte) bool {
		err := rows[i].load(row)
		t.fail(err)
		return err == nil
	}))
}
