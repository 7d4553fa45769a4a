package content

// Stored is how many of the file's bytes are no holes. It reads nothing: ok is false where that
// is not known, which is of a tree whose one manifest was not needed yet or that has several.
func (t *Tree) Stored() (n uint64, ok bool) {
	leaf := t.only
	if t.c.Depth == 1 {
		leaf = t.env.nodes.get(t.c.Root)
	}
	if t.c.Root.IsZero() || leaf == nil {
		return 0, t.c.Root.IsZero()
	}
	for _, r := range leaf.children {
		if !r.IsHole() {
			n += r.Length
		}
	}
	return n, true
}
