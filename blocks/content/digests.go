package content

import (
	"context"
	"iter"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
)

// Digests yields every digest that a content needs, manifests included, each manifest
// before what it names. A manifest comes once, however many parents name it; a data block
// that occurs in several places may come several times. Holes have no digest. An error is
// yielded once and ends the sequence.
func Digests(ctx context.Context, g blocks.Getter, s *seal.Sealer, c blocks.Content) iter.Seq2[blocks.Digest, error] {
	return func(yield func(blocks.Digest, error) bool) {
		t, err := Load(ctx, g, s, c)
		if err != nil {
			yield(blocks.Digest{}, err)
			return
		}
		w := walk{ctx: ctx, env: t.env, yield: yield, seen: make(map[blocks.Digest]struct{})}
		w.visit(blocks.Ref{Digest: c.Root, Length: c.Size}, c.Depth)
	}
}

// walk is one traversal: seen holds what is not to be yielded (again).
type walk struct {
	ctx   context.Context
	env   *env
	yield func(blocks.Digest, error) bool
	seen  map[blocks.Digest]struct{}
}

// visit yields ref, the root of a tree of the given depth, and all below. It reports
// whether to go on.
func (w *walk) visit(ref blocks.Ref, depth uint8) bool {
	if _, known := w.seen[ref.Digest]; known || ref.IsHole() {
		return true
	}
	if !w.yield(ref.Digest, nil) {
		return false
	}
	if depth == 0 {
		return true
	}
	w.seen[ref.Digest] = struct{}{}
	n, err := w.env.node(w.ctx, ref, depth-1)
	if err != nil {
		w.yield(blocks.Digest{}, err)
		return false
	}
	for _, child := range n.children {
		if !w.visit(child, depth-1) {
			return false
		}
	}
	return true
}

// Diff yields the digests, manifests included, that to needs and from does not, each
// manifest before what it names. It brings no manifest that both share at the same height,
// so its cost follows the difference; a block that from has too, but under a manifest that
// both share, may be among the result. Errors as in Digests.
func Diff(ctx context.Context, g blocks.Getter, s *seal.Sealer, from, to blocks.Content) iter.Seq2[blocks.Digest, error] {
	return func(yield func(blocks.Digest, error) bool) {
		a, err := newFront(ctx, g, s, from)
		if err != nil {
			yield(blocks.Digest{}, err)
			return
		}
		b, err := newFront(ctx, g, s, to)
		if err != nil {
			yield(blocks.Digest{}, err)
			return
		}
		stop := false
		for !stop {
			if a.depth == b.depth {
				subtract(a, b)
			}
			switch {
			case a.depth > 1 && a.depth >= b.depth:
				err = a.descend(ctx)
			case b.depth > 1:
				for d := range b.refs {
					if !yield(d, nil) {
						return
					}
				}
				err = b.descend(ctx)
			default:
				stop = true
			}
			if err != nil {
				yield(blocks.Digest{}, err)
				return
			}
		}
		// Both are now leaf manifests, or single blocks: one side is held, the other streams.
		old := walk{ctx: ctx, env: a.env, seen: make(map[blocks.Digest]struct{})}
		old.yield = func(d blocks.Digest, e error) bool { old.seen[d], err = struct{}{}, e; return e == nil }
		if !old.visitAll(a) {
			yield(blocks.Digest{}, err)
			return
		}
		w := walk{ctx: ctx, env: b.env, yield: yield, seen: old.seen}
		w.visitAll(b)
	}
}

func (w *walk) visitAll(f *front) bool {
	for d, length := range f.refs {
		if !w.visit(blocks.Ref{Digest: d, Length: length}, f.depth) {
			return false
		}
	}
	return true
}

// front is one height of a tree: the distinct roots of depth depth found there.
type front struct {
	env   *env
	depth uint8
	refs  map[blocks.Digest]uint64 // digest → length
}

func newFront(ctx context.Context, g blocks.Getter, s *seal.Sealer, c blocks.Content) (*front, error) {
	t, err := Load(ctx, g, s, c)
	if err != nil {
		return nil, err
	}
	f := &front{env: t.env, depth: c.Depth, refs: make(map[blocks.Digest]uint64)}
	if !c.Root.IsZero() {
		f.refs[c.Root] = c.Size
	}
	return f, nil
}

// descend replaces the manifests by their children.
func (f *front) descend(ctx context.Context) error {
	below := make(map[blocks.Digest]uint64)
	for d, length := range f.refs {
		n, err := f.env.node(ctx, blocks.Ref{Digest: d, Length: length}, f.depth-1)
		if err != nil {
			return err
		}
		for _, c := range n.children {
			below[c.Digest] = c.Length
		}
	}
	f.depth, f.refs = f.depth-1, below
	return nil
}

// subtract removes from both what both have.
func subtract(a, b *front) {
	for d := range a.refs {
		if _, shared := b.refs[d]; shared {
			delete(a.refs, d)
			delete(b.refs, d)
		}
	}
}
