package namespace

import (
	"sync"

	"github.com/shelffs/shelf/internal/namespace/merge"
)

// rowCache keeps decoded rows that were used lately, a bounded number of them: two generations,
// of which the older is dropped when the younger is full. What it returns is shared and must
// not be changed in place.
type rowCache[V any] struct {
	mu         sync.Mutex
	young, old map[NodeID]V
}

// cacheRows is how many rows one generation holds.
const cacheRows = 4096

func (c *rowCache[V]) get(id NodeID) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok = c.young[id]; ok {
		return v, true
	}
	if v, ok = c.old[id]; ok {
		c.put(id, v)
	}
	return v, ok
}

func (c *rowCache[V]) has(id NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, young := c.young[id]
	_, old := c.old[id]
	return young || old
}

func (c *rowCache[V]) set(id NodeID, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(id, v)
}

func (c *rowCache[V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = nil, nil
}

// put needs mu.
func (c *rowCache[V]) put(id NodeID, v V) {
	if len(c.young) >= cacheRows {
		c.young, c.old = c.old, c.young
		clear(c.young)
	}
	if c.young == nil {
		c.young = make(map[NodeID]V)
	}
	c.young[id] = v
}

// caches hold rows as of the last commit. They are read under Replica.mu or writing, and
// written under mu for writing when a commit changes rows.
type caches struct {
	nodes rowCache[merge.Node]
	dirs  rowCache[dirRow]

	// folders of directories, as long as none comes, goes or changes its place; used only
	// where merged directories exist.
	folders rowCache[folder]
}
