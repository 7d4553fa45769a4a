package content

import (
	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
)

// A manifest has minFan children before the digest of one may end it, and never more than maxFan, unless
// it was made by others. Small ones make the first byte of a large file soon there, and a change of one
// page cheap: either costs the bytes of one manifest of each level. They cover some 120 MiB of a file.
const (
	minFan = 256
	maxFan = 1024
)

// cutsAfter reports whether a manifest of at least minFan children may end behind r: once
// in 256 blocks. Holes never end one, so that neighbouring holes always meet.
func cutsAfter(r blocks.Ref) bool { return !r.IsHole() && r.Digest[0] == 0 }

// Build makes the tree of refs, which are data blocks and holes in file order: its content
// and the sealed manifests to store, each after the ones that it names. Neighbouring holes
// are joined. Invalid when a ref is empty or longer than a block can be.
func Build(refs []blocks.Ref, s *seal.Sealer) (blocks.Content, []blocks.Sealed, error) {
	var made []blocks.Sealed
	b := builder{s: s, emit: func(m blocks.Sealed) error { made = append(made, m); return nil }}
	for _, r := range refs {
		if r.Length == 0 || r.Length > blocks.MaxSize || !r.IsHole() && r.Length > seal.MaxPlain {
			return blocks.Content{}, nil, errs.E("content.Build", errs.Invalid, "length of a block", nil)
		}
		if err := b.push(r); err != nil {
			return blocks.Content{}, nil, err
		}
	}
	c, err := b.finish()
	return c, made, err
}

// builder makes a tree from its pieces in file order. Whole leaf manifests of an older tree
// may come instead of their children, and are kept where the tree built from scratch would
// have them too: the result is always the one that Build makes of the same pieces.
//
// While the tree may still turn out to need one manifest only, everything waits in early.
type builder struct {
	s      *seal.Sealer
	emit   func(blocks.Sealed) error
	known  func(blocks.Digest) bool        // manifests that need not be emitted; nil: none
	made   func(blocks.Digest, *node)      // told of each manifest made; nil: nobody
	expand func(blocks.Ref) (*node, error) // brings a kept leaf's children

	early   []part // nothing decided yet
	atLeast int    // no fewer children than this are in early
	many    bool   // there are more children than one manifest holds

	pending []blocks.Ref // of the leaf being filled
	leaves  []blocks.Ref // finished leaf manifests
	kept    bool         // the last of leaves was kept, not made
	open    bool         // … and had no successor in its own tree, so nothing ended it
}

// part is a piece, or a whole leaf manifest of an older tree.
type part struct {
	blocks.Ref
	leaf, open bool
}

// push adds a data block or hole.
func (b *builder) push(r blocks.Ref) error {
	if b.many {
		return b.add(r)
	}
	if n := len(b.early); n > 0 && !b.early[n-1].leaf && b.early[n-1].IsHole() && r.IsHole() {
		b.early[n-1].Length += r.Length
		return nil
	}
	return b.wait(part{Ref: r}, 1)
}

// keep adds a leaf manifest of an older tree; last tells that it was that tree's last.
func (b *builder) keep(leaf blocks.Ref, last bool) error {
	if b.many {
		return b.addLeaf(leaf, last)
	}
	if last {
		return b.wait(part{leaf, true, true}, 1)
	}
	return b.wait(part{leaf, true, false}, minFan-1) // a hole at its end may join the next
}

func (b *builder) wait(p part, children int) error {
	b.early = append(b.early, p)
	if b.atLeast += children; b.atLeast <= maxFan {
		return nil
	}
	early := b.early
	b.many, b.early = true, nil
	for _, p := range early {
		var err error
		if p.leaf {
			err = b.addLeaf(p.Ref, p.open)
		} else {
			err = b.add(p.Ref)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add puts a piece into the leaf being filled, and ends the leaf where it ends.
func (b *builder) add(r blocks.Ref) error {
	if b.kept && (b.open || r.IsHole()) { // the leaf kept last would not have ended there
		leaf := b.leaves[len(b.leaves)-1]
		b.leaves, b.kept, b.open = b.leaves[:len(b.leaves)-1], false, false
		if err := b.addChildren(leaf); err != nil {
			return err
		}
	}
	b.kept = false
	n := len(b.pending)
	if n > 0 && r.IsHole() && b.pending[n-1].IsHole() {
		b.pending[n-1].Length += r.Length
		return nil
	}
	if n == maxFan {
		if err := b.endLeaf(); err != nil {
			return err
		}
	}
	b.pending = append(b.pending, r)
	if len(b.pending) >= minFan && cutsAfter(r) {
		return b.endLeaf()
	}
	return nil
}

func (b *builder) addLeaf(leaf blocks.Ref, last bool) error {
	if n := len(b.pending); n == maxFan && !b.pending[n-1].IsHole() {
		if err := b.endLeaf(); err != nil {
			return err
		}
	}
	if len(b.pending) > 0 {
		return b.addChildren(leaf)
	}
	b.leaves, b.kept, b.open = append(b.leaves, leaf), true, last
	return nil
}

func (b *builder) addChildren(leaf blocks.Ref) error {
	n, err := b.expand(leaf)
	if err != nil {
		return err
	}
	for _, r := range n.children {
		if err := b.add(r); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) endLeaf() error {
	ref, err := b.manifest(0, b.pending)
	b.leaves, b.kept = append(b.leaves, ref), false
	b.pending = nil
	return err
}

// manifest seals one manifest and emits it unless it is known. It keeps children.
func (b *builder) manifest(level uint8, children []blocks.Ref) (blocks.Ref, error) {
	m := blocks.Manifest{Level: level, Children: children}
	for _, c := range children {
		if c.Length > blocks.MaxSize-m.Size {
			return blocks.Ref{}, errs.E("content.Build", errs.TooLarge, "", nil)
		}
		m.Size += c.Length
	}
	sealed, err := b.s.SealManifest(m)
	if err != nil {
		return blocks.Ref{}, err
	}
	if b.made != nil {
		b.made(sealed.Digest, newNode(m))
	}
	ref := blocks.Ref{Digest: sealed.Digest, Length: m.Size}
	if b.known != nil && b.known(ref.Digest) {
		return ref, nil
	}
	return ref, b.emit(sealed)
}
