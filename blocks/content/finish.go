package content

import (
	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// finish ends the tree.
func (b *builder) finish() (blocks.Content, error) {
	if !b.many {
		refs, err := b.settleEarly()
		if err != nil || !b.many {
			return b.small(refs, err)
		}
	}
	if len(b.pending) > 0 {
		if err := b.endLeaf(); err != nil {
			return blocks.Content{}, err
		}
	}
	return b.raise(b.leaves)
}

// settleEarly returns the pieces of a tree of one manifest at most. When they are too many
// after all, they are added to the leaves and many is set.
func (b *builder) settleEarly() ([]blocks.Ref, error) {
	refs := make([]blocks.Ref, 0, len(b.early))
	put := func(r blocks.Ref) {
		if n := len(refs); n > 0 && r.IsHole() && refs[n-1].IsHole() {
			refs[n-1].Length += r.Length
		} else {
			refs = append(refs, r)
		}
	}
	for _, p := range b.early {
		if !p.leaf {
			put(p.Ref)
			continue
		}
		n, err := b.expand(p.Ref)
		if err != nil {
			return nil, err
		}
		for _, r := range n.children {
			put(r)
		}
	}
	if len(refs) <= maxFan {
		return refs, nil
	}
	b.many, b.early = true, nil
	for _, r := range refs {
		if err := b.add(r); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (b *builder) small(refs []blocks.Ref, err error) (blocks.Content, error) {
	switch {
	case err != nil || len(refs) == 0:
		return blocks.Content{}, err
	case len(refs) == 1:
		return blocks.Content{Root: refs[0].Digest, Size: refs[0].Length}, nil
	}
	root, err := b.manifest(0, refs)
	return blocks.Content{Root: root.Digest, Depth: 1, Size: root.Length}, err
}

// raise puts levels of manifests over the leaves until one manifest is left.
func (b *builder) raise(refs []blocks.Ref) (blocks.Content, error) {
	depth := uint8(1)
	for ; len(refs) > 1; depth++ {
		if depth == blocks.MaxDepth {
			return blocks.Content{}, errs.E("content.Build", errs.TooLarge, "", nil)
		}
		all := len(refs) <= maxFan
		var above []blocks.Ref
		for start, i := 0, 0; i < len(refs); i++ {
			n := i + 1 - start
			if i+1 == len(refs) || !all && (n == maxFan || n >= minFan && cutsAfter(refs[i])) {
				ref, err := b.manifest(depth, refs[start:i+1])
				if err != nil {
					return blocks.Content{}, err
				}
				above, start = append(above, ref), i+1
			}
		}
		refs = above
	}
	return blocks.Content{Root: refs[0].Digest, Depth: depth, Size: refs[0].Length}, nil
}
