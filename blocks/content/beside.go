package content

import (
	"sync"

	"github.com/shelffs/shelf/blocks"
)

// told are the manifests of a tree that Beside listed.
type told struct {
	mu sync.Mutex
	by map[blocks.Digest]struct{}
}

// Beside lists leaf manifests that a reader at off will need if he goes elsewhere: the nearest to that of off first, at
// most so many on each side, none that is kept in memory, and each once. It brings nothing: before the way to off is
// known it lists none.
func (t *Tree) Beside(off uint64, most int) (ds []blocks.Digest) {
	above, base := t.aboveLeaf(off)
	if above == nil {
		return nil
	}
	t.told.mu.Lock()
	defer t.told.mu.Unlock()
	at := above.find(off - base)
	for k := 1; k <= most; k++ {
		for _, i := range [...]int{at + k, at - k} {
			if i < 0 || i >= len(above.children) || above.children[i].IsHole() {
				continue
			}
			d := above.children[i].Digest
			if _, ok := t.told.by[d]; ok || t.env.nodes.peek(d) != nil {
				continue
			}
			if t.told.by == nil {
				t.told.by = map[blocks.Digest]struct{}{}
			}
			t.told.by[d] = struct{}{}
			ds = append(ds, d)
		}
	}
	return ds
}

// aboveLeaf is the node above the leaf that covers off, and the offset of its first byte; nil if there is none, or it
// is not known.
func (t *Tree) aboveLeaf(off uint64) (n *node, base uint64) {
	if t.c.Depth < 2 || off >= t.c.Size {
		return nil, 0
	}
	ref := blocks.Ref{Digest: t.c.Root, Length: t.c.Size}
	for level := t.c.Depth - 1; ; level-- {
		n, err := t.env.known(ref, blocks.Stretch{Level: level})
		if err != nil || level == 1 {
			return n, base
		}
		i := n.find(off - base)
		ref, base = n.children[i], base+n.starts[i]
	}
}
