package content

import (
	"context"
	"sort"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// maxLeaves bounds the leaf manifests of a tree that is edited, some 256 TiB of file: a
// hostile tree can name any number of them with a few blocks.
const maxLeaves = 1 << 20

// oldTree is a tree as Splice reads it: the list of its leaf manifests, and one of them
// open at a time. A tree without manifests is one leaf that has no digest.
type oldTree struct {
	t      *Tree
	size   uint64
	leaves []Piece
	known  map[blocks.Digest]struct{}
	at     int // index of the open leaf, -1 before the first
	leaf   *node
}

func openOld(ctx context.Context, t *Tree) (*oldTree, error) {
	o := &oldTree{t: t, size: t.c.Size, known: make(map[blocks.Digest]struct{}), at: -1}
	if t.c.Depth == 0 {
		if t.only != nil {
			o.leaves = []Piece{{Ref: blocks.Ref{Length: o.size}}}
			o.at, o.leaf = 0, t.only
		}
		return o, nil
	}
	return o, o.list(ctx, blocks.Ref{Digest: t.c.Root, Length: t.c.Size}, t.c.Depth-1)
}

// list appends the leaves below the manifest ref of the given level.
func (o *oldTree) list(ctx context.Context, ref blocks.Ref, level uint8) error {
	o.known[ref.Digest] = struct{}{}
	if level == 0 {
		if len(o.leaves) == maxLeaves {
			return errs.E("content.Splice", errs.TooLarge, ref.Digest.Short(), nil)
		}
		off := uint64(0)
		if n := len(o.leaves); n > 0 {
			off = o.leaves[n-1].End()
		}
		o.leaves = append(o.leaves, Piece{ref, off})
		return nil
	}
	n, err := o.t.env.node(ctx, ref, level)
	if err != nil {
		return err
	}
	for _, c := range n.children {
		if err := o.list(ctx, c, level-1); err != nil {
			return err
		}
	}
	return nil
}

// leafAt returns the index of the leaf that covers off, which is below size.
func (o *oldTree) leafAt(off uint64) int {
	return sort.Search(len(o.leaves), func(i int) bool { return o.leaves[i].Off > off }) - 1
}

// piece returns the piece that covers off, which is below size.
func (o *oldTree) piece(ctx context.Context, off uint64) (Piece, error) {
	if o.at < 0 || off < o.leaves[o.at].Off || off >= o.leaves[o.at].End() {
		i := o.leafAt(off)
		n, err := o.t.env.node(ctx, o.leaves[i].Ref, 0)
		if err != nil {
			return Piece{}, err
		}
		o.at, o.leaf = i, n
	}
	base := o.leaves[o.at].Off
	i := o.leaf.find(off - base)
	return Piece{o.leaf.children[i], base + o.leaf.starts[i]}, nil
}

func (o *oldTree) has(manifest blocks.Digest) bool {
	_, ok := o.known[manifest]
	return ok
}
