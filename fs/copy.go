package fs

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// A copy of a file, or of a part of one, takes over the blocks of the original: nothing is read, sealed or
// stored again but the parts of blocks at the ends of a range. Until the copy is saved, its layer says of which tree its bytes
// are, and the store keeps the blocks for it, whatever becomes of the original. So they have to be here: a
// writer keeps what it wrote.

const (
	mostTaken  = 1 << 30 // bytes at a time: some thousands of blocks
	mostCopied = 8 << 20 // of them, of what the original has not saved yet
)

// CopyRange lays n bytes of src from its offset from on over those of h at off, and returns how many; fewer
// where src ends, and where it is better not to do all at once. Unsupported: the first of them are not here,
// and are to be read and written.
func (h *Handle) CopyRange(ctx context.Context, off int64, src *Handle, from, n int64, fl WriteFlags) (int64, error) {
	const op = "fs.CopyRange"
	switch {
	case !h.flags.Write || h.flags.Append || !src.flags.Read || off < 0 || from < 0 || n < 0:
		return 0, errs.E(op, errs.Invalid, "", nil)
	case off > blocks.MaxSize-n || from > blocks.MaxSize-n:
		return 0, errs.E(op, errs.TooLarge, "", nil)
	case h.n == src.n && off < from+n && from < off+n:
		return 0, errs.E(op, errs.Invalid, "the ranges overlap", nil)
	}
	h.n.writes.Add(1)
	defer h.n.writes.Add(-1)
	parts, copied, err := src.lend(ctx, from, min(n, mostTaken))
	if err != nil || len(parts) == 0 {
		return 0, err
	}
	need, err := h.fs.blocksOf(ctx, parts)
	if err != nil {
		return 0, err
	}
	if err := h.fs.admit(ctx, copied); err != nil {
		return 0, err
	}
	src.n.read.Store(true)
	src.use()
	h.use()
	done, err := h.take(ctx, off, from, parts, need, fl)
	if err == nil && h.flags.Sync {
		err = h.Sync(ctx)
	}
	return done, err
}

// lend lists what makes up [from, from+n) of the file, at its offsets there, with bytes in memory copied; copied is
// how many. A list that would have too many of those ends early.
func (h *Handle) lend(ctx context.Context, from, n int64) (parts []span, copied int64, err error) {
	for {
		t, err := h.fs.load(ctx, h.n)
		if err != nil {
			return nil, 0, err
		}
		h.n.mu.Lock()
		f := h.n.file
		if f == nil {
			h.n.mu.Unlock()
			return nil, 0, closed("fs.CopyRange")
		}
		if f.tree != t.Tree { // something changed since load
			h.n.mu.Unlock()
			continue
		}
		size := int64(t.Size())
		f.visit(from, min(n, f.size-from), func(s span, covered bool) {
			switch {
			case copied >= mostCopied:
				return
			case s.buf != nil:
				copied += s.n
				s.buf, s.at = &buffer{b: append([]byte(nil), s.bytes()...)}, 0
			case !covered && s.off < size:
				s.tree, s.at = &t, s.off
				if s.end() > size {
					parts = append(parts, span{off: s.off, n: size - s.off, tree: &t, at: s.off})
					s = span{off: size, n: s.end() - size}
				}
			}
			parts = append(parts, s)
		})
		h.n.mu.Unlock()
		return parts, copied, nil
	}
}

// needed is a block of which a copy takes over something, and where in the original that begins.
type needed struct {
	block blocks.Digest
	off   int64
}

// blocksOf lists the blocks that parts take over.
func (fs *FS) blocksOf(ctx context.Context, parts []span) (need []needed, err error) {
	for _, s := range parts {
		if s.tree == nil {
			continue
		}
		pieces, err := fs.pieces(ctx, s.tree.Tree, s.at, s.n)
		if err != nil {
			return nil, err
		}
		for _, p := range pieces {
			if !p.IsHole() {
				need = append(need, needed{p.Digest, s.off + max(0, int64(p.Off)-s.at)})
			}
		}
	}
	return need, nil
}

// take lays parts, which begin at from, over the file at off, as far as their blocks are here.
func (h *Handle) take(ctx context.Context, off, from int64, parts []span, need []needed, fl WriteFlags) (int64, error) {
	fs, n := h.fs, h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	f, err := fs.keepStill(ctx, n)
	if err != nil {
		return 0, err
	}
	defer fs.moveOn(f)
	f.claims = true
	n.mu.Unlock()
	end, err := fs.claim(ctx, n.id, need, parts[len(parts)-1].end())
	n.mu.Lock()
	switch {
	case err != nil:
		return 0, err
	case end == from:
		return 0, errs.E("fs.CopyRange", errs.Unsupported, "its blocks are not here", nil)
	}
	f.reach(off)
	for _, s := range parts {
		s.n = min(s.n, end-s.off)
		at := s.off - from + off
		switch {
		case s.n <= 0:
		case s.tree != nil:
			f.promises.fill()
			f.dirty.take(at, s.n, s.tree, s.at)
		case s.buf != nil:
			f.write(at, s.bytes())
		default:
			f.zero(at, s.n)
		}
	}
	return end - from, fs.wrote(f, off+end-from, fl)
}

// claim has the store keep blocks for a node, and returns where in the original those begin that are not here;
// end if all are.
func (fs *FS) claim(ctx context.Context, node [16]byte, need []needed, end int64) (int64, error) {
	ds := make([]blocks.Digest, len(need))
	for i, b := range need {
		ds[i] = b.block
	}
	here, err := fs.cfg.Store.StageHere(ctx, node, ds...)
	if here < len(need) {
		end = need[here].off
	}
	return end, err
}

// keepStill waits until no job is at work on n's file and has none begin before moveOn: what is
// claimed for it and what is settled must not mix. n.mu is held, but not while it waits.
func (fs *FS) keepStill(ctx context.Context, n *inode) (*file, error) {
	for {
		f := n.file
		var busy chan struct{}
		switch {
		case f == nil:
			return nil, closed("fs.CopyRange")
		case f.still != nil:
			busy = f.still
		case f.saving:
			busy = f.done
		default:
			f.still = make(chan struct{})
			return f, nil
		}
		n.mu.Unlock()
		err := fs.wait(ctx, busy)
		n.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

// moveOn lets jobs begin with f again. f.n.mu is held.
func (fs *FS) moveOn(f *file) {
	close(f.still)
	f.still = nil
	fs.saver.again(f.n)
	fs.detach(f.n)
}
