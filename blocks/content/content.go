// Package content keeps a file's bytes as a tree of sealed blocks: it finds the blocks
// that cover a stretch of the file, and stores an edited file by sealing only what the
// edit touched. It knows nothing of names, versions or where blocks lie.
//
// The shape of a tree is a function of its data blocks: up to maxFan of them
// stand in one manifest, more are divided among leaf manifests at places that the blocks'
// digests decide, so that an edit rewrites one leaf and the manifests above it. A content
// of one block has no manifest.
package content

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/chunker"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
)

// Tree is one content: an immutable list of data blocks and holes, safe for concurrent
// use. Manifests are brought by the getter when they are first needed, and a bounded
// number of them is kept.
type Tree struct {
	c    blocks.Content
	env  *env
	only *node // stands in for the leaf manifest of a content that has none

	stored atomic.Uint64 // what Stored has found; 0: nothing
	told   told
}

// env is what all trees that descend from one Load share.
type env struct {
	g       blocks.Getter
	s       *seal.Sealer
	nodes   nodeCache
	buffers sync.Pool // of *[]byte with room for a chunk
	sealed  sync.Pool // of *[]byte with room for a chunk's block
	chunker func() *chunker.Chunker
}

// Piece is one data block or hole and the file offset of its first byte.
type Piece struct {
	blocks.Ref
	Off uint64
}

// End is the file offset behind the piece's last byte.
func (p Piece) End() uint64 { return p.Off + p.Length }

// Load makes the tree of c, whose manifests come from g. Nothing is read yet; a manifest
// that is missing or wrong shows when it is needed, with the getter's error or Corrupt. A
// content that no file can have is Corrupt at once. The zero Content is the empty file.
func Load(_ context.Context, g blocks.Getter, s *seal.Sealer, c blocks.Content) (*Tree, error) {
	ok := c.Depth <= blocks.MaxDepth && c.Size <= blocks.MaxSize
	switch {
	case c.Root.IsZero():
		ok = ok && c.Depth == 0
	case c.Depth == 0:
		ok = ok && c.Size > 0 && c.Size <= seal.MaxPlain
	default:
		ok = ok && c.Size > 0
	}
	if !ok {
		return nil, errs.E("content.Load", errs.Corrupt, c.Root.Short(), nil)
	}
	return newTree(c, &env{
		g: g, s: s,
		chunker: sync.OnceValue(func() *chunker.Chunker { return chunker.New(s.ChunkKey()) }),
	}), nil
}

func newTree(c blocks.Content, e *env) *Tree {
	t := &Tree{c: c, env: e}
	if c.Depth == 0 && c.Size > 0 {
		t.only = newNode(blocks.Manifest{Size: c.Size, Children: []blocks.Ref{{Digest: c.Root, Length: c.Size}}})
	}
	return t
}

// Content names the tree.
func (t *Tree) Content() blocks.Content { return t.c }

// Size is the file's length in bytes.
func (t *Tree) Size() uint64 { return t.c.Size }

// At returns the piece that holds the byte at off. The error is of kind Range when off is
// not before the end, otherwise the getter's or Corrupt.
func (t *Tree) At(ctx context.Context, off uint64) (Piece, error) {
	if off >= t.c.Size {
		return Piece{}, errs.E("content.At", errs.Range, "", nil)
	}
	leaf, base, err := t.leafAt(off, 0, t.env.bring(ctx))
	if err != nil {
		return Piece{}, err
	}
	i := leaf.find(off - base)
	return Piece{Ref: leaf.children[i], Off: base + leaf.starts[i]}, nil
}

// Range yields in order the pieces that cover [off, off+n), clipped to the file's end. An
// error is yielded once and ends the sequence.
func (t *Tree) Range(ctx context.Context, off, n uint64) iter.Seq2[Piece, error] {
	return t.pieces(off, n, t.env.bring(ctx))
}

// Known lists what Range yields if no manifest has to be brought for it, or opened.
func (t *Tree) Known(off, n uint64) (out []Piece, ok bool) {
	for pc, err := range t.pieces(off, n, t.env.known) {
		if err != nil {
			return nil, false
		}
		out = append(out, pc)
	}
	return out, true
}

func (t *Tree) pieces(off, n uint64, bring bringer) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		if off >= t.c.Size {
			return
		}
		end := off + min(n, t.c.Size-off)
		for off < end {
			leaf, base, err := t.leafAt(off, end-off, bring)
			if err != nil {
				yield(Piece{}, err)
				return
			}
			for i := leaf.find(off - base); i < len(leaf.children) && base+leaf.starts[i] < end; i++ {
				if !yield(Piece{Ref: leaf.children[i], Off: base + leaf.starts[i]}, nil) {
					return
				}
			}
			off = base + leaf.size
		}
	}
}

// leafAt returns the level-0 node that covers off, which lies in the file, and the offset
// of the node's first byte. The caller goes on to read next bytes from off.
func (t *Tree) leafAt(off, next uint64, bring bringer) (*node, uint64, error) {
	if t.only != nil {
		return t.only, 0, nil
	}
	ref, base := blocks.Ref{Digest: t.c.Root, Length: t.c.Size}, uint64(0)
	for level := t.c.Depth - 1; ; level-- {
		n, err := bring(ref, blocks.Stretch{Level: level, Off: off - base, Len: min(next, base+ref.Length-off)})
		if err != nil {
			return nil, 0, err
		}
		if level == 0 {
			return n, base, nil
		}
		i := n.find(off - base)
		ref, base = n.children[i], base+n.starts[i]
	}
}
