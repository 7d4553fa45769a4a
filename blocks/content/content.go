// Package content keeps a file's bytes as a tree of sealed blocks.
package content

import (
	"context"
	"io"
	"iter"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
)

// Tree is one content, immutable, safe for concurrent use. Manifests are brought by the
// getter when they are first needed.
type Tree struct{}

// Piece is one data block or hole and the file offset of its first byte.
type Piece struct {
	blocks.Ref
	Off uint64
}

// Load makes the tree of c. It reads the root manifest (nothing for Depth 0). Load of the zero Content is
// the empty file.
func Load(ctx context.Context, g blocks.Getter, s *seal.Sealer, c blocks.Content) (*Tree, error) {
	panic("coming")
}

func (t *Tree) Content() blocks.Content { panic("coming") }
func (t *Tree) Size() uint64            { panic("coming") }

// At returns the piece that holds the byte at off; Range kind when off >= Size.
func (t *Tree) At(ctx context.Context, off uint64) (Piece, error) { panic("coming") }

// Range yields the pieces that cover [off, off+n), in order, clipped to the file's end. An error ends it.
func (t *Tree) Range(ctx context.Context, off, n uint64) iter.Seq2[Piece, error] { panic("coming") }

// Build makes the tree of refs: the content and the manifests to store, leaves first.
func Build(refs []blocks.Ref, s *seal.Sealer) (blocks.Content, []blocks.Sealed, error) {
	panic("coming")
}

// Digests yields every digest of a content, manifests included, each manifest before what it names.
// A data digest may come more than once. No holes.
func Digests(ctx context.Context, g blocks.Getter, s *seal.Sealer, c blocks.Content) iter.Seq2[blocks.Digest, error] {
	panic("coming")
}

// Diff yields the digests, manifests included, that new has and old has not (a few that old has
// elsewhere may be among them). Shared subtrees are not read.
func Diff(ctx context.Context, g blocks.Getter, s *seal.Sealer, old, new blocks.Content) iter.Seq2[blocks.Digest, error] {
	panic("coming")
}

// Range is a stretch of a file's bytes that differs from the old tree's. Zero: all its bytes are zero and
// need not be read (a punched hole, a truncation upwards).
type Range struct {
	Off, Len uint64
	Zero     bool
}

// Edit says what became of a file. Offsets outside Changed hold what Old holds there; bytes beyond
// Old's end that are not in Changed are zero.
type Edit struct {
	New     io.ReaderAt // the whole new content; unchanged bytes beside a change are read too, never past Size
	Size    uint64
	Changed []Range // any order, may overlap (later ones win)
}

// Splice stores an edit of old: only what was touched is chunked, sealed and passed to emit, in order,
// manifests last. emit owns the blocks it gets and is never called concurrently. Splice of an empty tree with all bytes changed is chunking from scratch.
func Splice(ctx context.Context, old *Tree, e Edit, emit func(blocks.Sealed) error) (*Tree, error) {
	panic("coming")
}
