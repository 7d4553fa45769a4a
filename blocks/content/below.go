package content

import (
	"context"
	"iter"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
)

// Below yields the blocks that a reader of next needs besides the manifest m, each manifest before what it names, as
// far as g has the manifests among them: these with their bytes, data blocks without. It is for who sends them to another
// device: m and next are what that said, and may be anything.
func Below(ctx context.Context, g blocks.Getter, s *seal.Sealer, m blocks.Sealed, next blocks.Stretch) iter.Seq[blocks.Sealed] {
	return func(yield func(blocks.Sealed) bool) { below(ctx, g, s, m, next, yield) }
}

// below reports whether to go on.
func below(ctx context.Context, g blocks.Getter, s *seal.Sealer, b blocks.Sealed, next blocks.Stretch, yield func(blocks.Sealed) bool) bool {
	m, err := s.OpenManifest(b)
	if err != nil || m.Level != next.Level || next.Off >= m.Size || next.Len == 0 {
		return true
	}
	n, end := newNode(m), next.Off+min(next.Len, m.Size-next.Off)
	for i := n.find(next.Off); i < len(n.children) && n.starts[i] < end; i++ {
		c := n.children[i]
		if c.IsHole() {
			continue
		}
		child := blocks.Sealed{Digest: c.Digest}
		if m.Level > 0 {
			if child, err = g.GetBlock(ctx, c.Digest); err != nil {
				continue
			}
		}
		if !yield(child) {
			return false
		}
		if m.Level == 0 {
			continue
		}
		off := max(next.Off, n.starts[i])
		if !below(ctx, g, s, child, blocks.Stretch{Level: m.Level - 1, Off: off - n.starts[i], Len: end - off}, yield) {
			return false
		}
	}
	return true
}
