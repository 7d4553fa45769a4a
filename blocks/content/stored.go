package content

import "github.com/shelffs/shelf/blocks"

// Stored is how many of the file's bytes are no holes. It reads nothing: ok is false where that
// is not known, because a manifest was not needed yet or is not kept any more.
func (t *Tree) Stored() (n uint64, ok bool) {
	if n := t.stored.Load(); n > 0 {
		return n, true
	}
	if t.only != nil {
		n, ok = t.only.stored(), true
	} else if n, ok = t.env.stored(blocks.Ref{Digest: t.c.Root, Length: t.c.Size}, t.c.Depth); !ok {
		return 0, false
	}
	t.stored.Store(n)
	return n, ok
}

// stored is Stored below a manifest of level depth-1, or of a block.
func (e *env) stored(ref blocks.Ref, depth uint8) (n uint64, ok bool) {
	if ref.IsHole() {
		return 0, true
	}
	node := e.nodes.peek(ref.Digest)
	if node == nil || depth > 1 && len(node.children) > maxNodes {
		return 0, false
	}
	if depth == 1 {
		return node.stored(), true
	}
	for _, c := range node.children {
		m, ok := e.stored(c, depth-1)
		if !ok {
			return 0, false
		}
		n += m
	}
	return n, true
}

func (n *node) stored() (sum uint64) {
	for _, r := range n.children {
		if !r.IsHole() {
			sum += r.Length
		}
	}
	return sum
}
