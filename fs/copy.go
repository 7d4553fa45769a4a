package fs

import (
	"context"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// A copy of a file, or of a part of one, takes over the blocks of the original: nothing is read, sealed or
// stored again but the parts of blocks at the ends of a range. Until the copy is saved, its layer says which blocks
// it shows, and the store keeps them for it, whatever becomes of the original. So they have to be here: a
// writer keeps what it wrote.

const (
	mostLent   = manySpans // blocks at a time
	mostRange  = 1 << 30   // bytes at a time
	mostCopied = 8 << 20   // of them, of what the original has not saved yet
	patience   = time.Second
)

// CopyRange lays n bytes of src from its offset from on over those of h at off, and returns how many; fewer
// where src ends, and where it is better not to do all at once. Unsupported: they are to be read and written, for
// the first of them are not here, or there is something to wait for: a kernel lets nobody else write meanwhile.
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
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done, err := h.copyRange(brief, off, src, from, min(n, mostRange), fl)
	if errs.Is(err, errs.Timeout) && ctx.Err() == nil {
		return 0, errs.E(op, errs.Unsupported, "it takes too long", err)
	}
	if err == nil && done > 0 && h.flags.Sync {
		if err = h.Sync(ctx); err != nil {
			h.fs.tellBytes(h.n.ino) // after an error the kernel holds its pages for true
		}
	}
	return done, err
}

func (h *Handle) copyRange(ctx context.Context, off int64, src *Handle, from, n int64, fl WriteFlags) (int64, error) {
	if err := h.fs.admit(ctx, min(n, mostCopied, src.unsaved())); err != nil {
		return 0, err
	}
	parts, err := src.contents(ctx, from, n)
	if err != nil || len(parts) == 0 {
		return 0, err
	}
	src.n.read.Store(true)
	src.use()
	h.use()
	fs, node := h.fs, h.n
	node.mu.Lock()
	defer node.mu.Unlock()
	f, err := fs.pause(ctx, node)
	if err != nil {
		return 0, err
	}
	defer fs.resume(f)
	f.staged = true
	node.mu.Unlock()
	parts, err = fs.claim(node.id, parts)
	node.mu.Lock()
	switch {
	case err != nil:
		return 0, err
	case len(parts) == 0:
		return 0, errs.E("fs.CopyRange", errs.Unsupported, "its blocks are not here", nil)
	}
	f.lay(off-from, parts)
	done := parts[len(parts)-1].end() - from
	if err := fs.wrote(f, off+done, fl); err != nil {
		fs.tellBytes(node.ino)
		return 0, err
	}
	return done, nil
}

// unsaved is how many bytes of the file are in memory.
func (h *Handle) unsaved() int64 {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	if f := h.n.file; f != nil {
		return f.dirty.held + f.frozen.held
	}
	return 0
}

// contents lists what [from, from+n) of the file is made of, as spans at their offsets there, with what is in memory
// copied. It ends early where there is much.
func (h *Handle) contents(ctx context.Context, from, n int64) (parts []span, err error) {
	for {
		t, err := h.fs.load(ctx, h.n)
		if err != nil {
			return nil, err
		}
		h.n.mu.Lock()
		f := h.n.file
		if f == nil {
			h.n.mu.Unlock()
			return nil, closed("fs.CopyRange")
		}
		if f.tree != t.Tree { // something changed since load
			h.n.mu.Unlock()
			continue
		}
		var above []part
		copied := int64(0)
		f.visit(from, min(n, f.size-from), func(s span, covered bool) {
			if copied >= mostCopied {
				return
			}
			if s.buf != nil {
				copied += s.n
				s.buf, s.at = &buffer{b: append([]byte(nil), s.bytes()...)}, 0
			}
			above = append(above, part{s, covered})
		})
		h.n.mu.Unlock()
		return h.fs.resolve(ctx, t, above)
	}
}

// resolve puts the blocks and holes of t where it is to be seen.
func (fs *FS) resolve(ctx context.Context, t sourced, above []part) (parts []span, err error) {
	for _, p := range above {
		if len(parts) >= mostLent {
			break
		}
		if p.covered {
			parts = append(parts, p.span)
			continue
		}
		pieces, err := fs.pieces(ctx, t.Tree, p.off, p.n)
		if err != nil {
			return nil, err
		}
		end := p.off
		for _, pc := range pieces {
			s := span{off: end, n: min(int64(pc.End()), p.end()) - end}
			if !pc.IsHole() {
				s.lent, s.at = &lent{pc.Ref, t.from}, end-int64(pc.Off)
			}
			parts, end = append(parts, s), s.end()
		}
		if end < p.end() { // beyond the tree
			parts = append(parts, span{off: end, n: p.end() - end})
		}
	}
	return parts, nil
}

// claim has the store keep the blocks of parts for a node, up to the first that is not here, and returns the
// parts before it.
func (fs *FS) claim(node [16]byte, parts []span) ([]span, error) {
	var ds []blocks.Digest
	var at []int // the indexes of their parts
	for i, s := range parts {
		if s.lent != nil {
			ds, at = append(ds, s.lent.Digest), append(at, i)
		}
	}
	here, err := fs.cfg.Store.StageHere(fs.ctx, node, ds...) // it is soon done, and what is claimed is laid
	if here < len(at) {
		parts = parts[:at[here]]
	}
	return parts, err
}

// lay lays parts over the file, moved by so much. f.n.mu is held; the caller calls wrote.
func (f *file) lay(by int64, parts []span) {
	f.reach(parts[0].off + by)
	for _, s := range parts {
		switch at := s.off + by; {
		case s.lent != nil:
			f.promises.fill() // says nothing of blocks
			f.dirty.lend(at, s.n, s.lent, s.at)
		case s.buf != nil:
			f.write(at, s.bytes())
		default:
			f.zero(at, s.n)
		}
	}
}

// pause waits until no job is at work on n's file, and has none begin before resume: what is
// claimed for it and what is settled must not mix. n.mu is held, but not while it waits.
func (fs *FS) pause(ctx context.Context, n *inode) (*file, error) {
	for {
		f := n.file
		var busy chan struct{}
		switch {
		case f == nil:
			return nil, closed("fs.CopyRange")
		case f.paused != nil:
			busy = f.paused
		case f.saving:
			busy = f.done
		default:
			f.paused = make(chan struct{})
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

// resume lets jobs begin with f again. f.n.mu is held.
func (fs *FS) resume(f *file) {
	close(f.paused)
	f.paused = nil
	fs.saver.again(f.n)
	fs.detach(f.n)
}
