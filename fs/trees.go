package fs

import (
	"slices"
	"sync"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace"
)

// trees keeps the lists of blocks of large files that were read last: who opens one again and again, as
// for a page here and there, need not read and open its manifests each time.
type trees struct {
	mu  sync.Mutex
	all []keptTree // least recently used first
}

type keptTree struct {
	id   namespace.NodeID
	c    blocks.Content
	tree sourced
}

const maxTrees = 16

// find returns the tree of a file with a content, an empty one if it is not kept.
func (t *trees) find(id namespace.NodeID, c blocks.Content) sourced {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.all, func(k keptTree) bool { return k.id == id && k.c == c })
	if i < 0 {
		return sourced{}
	}
	k := t.all[i]
	t.all = append(slices.Delete(t.all, i, i+1), k)
	return k.tree
}

func (t *trees) keep(id namespace.NodeID, c blocks.Content, tree sourced) {
	if c.Depth == 0 { // has no manifest
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = slices.DeleteFunc(t.all, func(k keptTree) bool { return k.id == id }) // of an older content
	if t.all = append(t.all, keptTree{id, c, tree}); len(t.all) > maxTrees {
		t.all = slices.Delete(t.all, 0, 1)
	}
}
