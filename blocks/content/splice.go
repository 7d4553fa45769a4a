package content

import (
	"context"
	"io"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/chunker"
	"github.com/shelffs/shelf/internal/errs"
)

// Edit says what became of a file. Offsets that are in no range of Changed hold what the
// old tree has there; beyond the old tree's end they are zero.
type Edit struct {
	New     io.ReaderAt // the new content, read by one goroutine; of unchanged bytes little more than the rest of touched blocks
	Size    uint64      // its length in bytes
	Changed []Range     // in any order; where ranges overlap, those that are not Zero count; some 60 bytes of memory each
}

// Splice stores an edited file and returns its tree. Only what was touched is chunked and
// sealed; each new block goes to emit, data in file order, a manifest after all that it
// names, and only then, when Splice returns, may anything name the tree. emit is called from
// the caller's goroutine, may use the block's bytes until it returns (they are then written
// over), and its error ends the work. Blocks that the old tree has at the same place are not
// emitted again, those that a Range names not at all.
//
// A change inside a block of the old tree renews that block and no other. A larger one is
// chunked by content, until the new chunks meet a boundary of the old ones. So bytes of a
// file that was only ever edited in place may be cut elsewhere than if it had been written
// anew; with an empty old tree, Splice is chunking from scratch, a pure function of the
// content and the share's key. Aligned 64 KiB units of zeros become holes.
//
// Memory is bounded by a few chunks and a few manifests, whatever the file's size; a tree of
// many leaf manifests also costs some 80 bytes for each.
//
// Errors: those of New, the getter and emit as they are; Invalid when New is shorter than
// Size, TooLarge when Size is over blocks.MaxSize.
func Splice(ctx context.Context, old *Tree, e Edit, emit func(blocks.Sealed) error) (*Tree, error) {
	if e.Size > blocks.MaxSize {
		return nil, errs.E("content.Splice", errs.TooLarge, "", nil)
	}
	o, err := openOld(ctx, old)
	if err != nil {
		return nil, err
	}
	sp := &splicer{
		ctx: ctx, env: old.env, old: o, edit: e, emit: emit,
		changes: newChanges(e.Changed, o.size, e.Size),
	}
	sp.out = builder{
		s: old.env.s, emit: emit, known: o.has, made: old.env.nodes.put,
		expand: func(leaf blocks.Ref) (*node, error) { return old.env.node(ctx, leaf, 0) },
	}
	if e.Size == o.size && len(sp.changes) == 0 {
		return old, nil
	}
	if len(o.leaves) == 1 { // most files: everything will wait in one list
		if _, err := o.piece(ctx, 0); err != nil {
			return nil, err
		}
		sp.out.early = make([]part, 0, len(o.leaf.children)+8)
	}
	sp.pipe = newPipeline(old.env.s, &old.env.sealed, sp.sealed)
	defer sp.pipe.stop()
	if err := sp.run(); err != nil {
		return nil, err
	}
	c, err := sp.out.finish()
	if err != nil {
		return nil, err
	}
	return newTree(c, old.env), nil
}

// splicer is one Splice at work. It goes through the new file once, from piece to piece.
type splicer struct {
	ctx     context.Context
	env     *env
	old     *oldTree
	edit    Edit
	changes changes
	emit    func(blocks.Sealed) error
	pipe    *pipeline
	out     builder

	buf    []byte // new bytes that have been read but not yet cut, beginning at bufOff
	bufOff uint64
}

func (sp *splicer) run() error {
	for pos := uint64(0); pos < sp.edit.Size; {
		if err := sp.ctx.Err(); err != nil {
			return errs.E("content.Splice", errs.Other, "", err)
		}
		next, err := sp.copyFrom(pos)
		if err == nil && next == pos {
			next, err = sp.chunkFrom(pos)
		}
		if err != nil {
			return err
		}
		pos = next
	}
	return sp.pipe.drain()
}

// copyFrom takes over what needs no reading at pos: a known hole or block, a leaf or piece of
// the old tree without a change. It returns where that ends, pos when there is nothing.
func (sp *splicer) copyFrom(pos uint64) (uint64, error) {
	s, inside := sp.changes.at(pos)
	switch {
	case inside && s.zero:
		return s.end, sp.hole(s.end - pos)
	case inside && !s.block.IsHole() && s.off == pos:
		return s.end, sp.push(blocks.Ref{Digest: s.block.Digest, Length: s.end - pos, Sums: s.block.Sums})
	}
	if inside || pos >= sp.old.size {
		return pos, nil
	}
	if i := sp.old.leafAt(pos); len(sp.old.leaves) > 1 && sp.old.leaves[i].Off == pos && sp.stays(sp.old.leaves[i].End(), s) {
		if err := sp.pipe.drain(); err != nil {
			return 0, err
		}
		leaf := sp.old.leaves[i]
		return leaf.End(), sp.out.keep(leaf.Ref, i == len(sp.old.leaves)-1)
	}
	p, err := sp.old.piece(sp.ctx, pos)
	switch {
	case err != nil:
		return 0, err
	case p.IsHole():
		end := min(p.End(), sp.edit.Size)
		if s.off < end {
			end = max(pos, s.off)
			if s.read() {
				end = max(pos, s.off/unit*unit)
			}
		}
		if end == pos {
			return pos, nil
		}
		return end, sp.hole(end - pos)
	case p.Off == pos && sp.stays(p.End(), s):
		return p.End(), sp.push(p.Ref)
	}
	return pos, nil
}

// stays reports whether what ends at end can be taken over when s is the next change: none
// of it is changed, and it is not the old file's last block with bytes appended, which
// only the end of the file had cut off.
func (sp *splicer) stays(end uint64, s span) bool {
	return end <= sp.edit.Size && end <= s.off && !(end == sp.old.size && s.off == end && s.read())
}

func (sp *splicer) hole(length uint64) error { return sp.push(blocks.Ref{Length: length}) }

// push adds what is not sealed here behind what is.
func (sp *splicer) push(r blocks.Ref) error {
	if err := sp.pipe.drain(); err != nil {
		return err
	}
	return sp.out.push(r)
}

// sealed takes a chunk's block out of the pipeline.
func (sp *splicer) sealed(p Piece, b blocks.Sealed, buf []byte) error {
	if cap(buf) >= chunker.Max {
		buf = buf[:0]
		sp.env.buffers.Put(&buf)
	}
	same := false
	if p.Off < sp.old.size {
		was, err := sp.old.piece(sp.ctx, p.Off)
		if err != nil {
			return err
		}
		same = was.Digest == p.Digest && was.Off == p.Off
	}
	if !same {
		if err := sp.emit(b); err != nil {
			return err
		}
	}
	return sp.out.push(p.Ref)
}
