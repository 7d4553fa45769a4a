package fs

import (
	"context"

	"github.com/shelffs/shelf/internal/errs"
)

// Seek finds data (hole false) or a hole at or after off; the end of the file is a hole.
// An offset at or beyond the end, or no more data, is Range.
func (h *Handle) Seek(ctx context.Context, off int64, hole bool) (int64, error) {
	at, err := h.seek(ctx, off, hole)
	if !hole && err == nil && at == off { // no hole is passed over
		return at, nil
	}
	switch asked, failed := h.writeBack(ctx); {
	case failed != nil:
		return 0, failed
	case !asked:
		return at, err
	}
	return h.seek(ctx, off, hole)
}

// writeBack has the kernel hand over what programs changed in memory maps, which it keeps for itself as
// long as it likes: where we have a hole there may be data. Without anybody who writes there is no such
// map, and nothing is asked.
func (h *Handle) writeBack(ctx context.Context) (asked bool, err error) {
	h.n.mu.Lock()
	f := h.n.file
	quiet := f == nil || f.writers == 0
	h.n.mu.Unlock()
	k := h.fs.inval.Load()
	if quiet || k == nil {
		return false, nil
	}
	done := make(chan struct{})
	h.fs.lanes.put(h.n.ino, h.fs.wg.Go, func() {
		defer close(done)
		h.fs.heard((*k).Inode(h.n.ino, true))
	})
	return true, h.fs.wait(ctx, done)
}

func (h *Handle) seek(ctx context.Context, off int64, hole bool) (int64, error) {
	const step = 1 << 30
	for {
		size, err := h.size()
		if err != nil {
			return 0, err
		}
		if off < 0 || off >= size {
			return 0, errs.E("fs.Seek", errs.Range, "", nil)
		}
		at, found, err := h.seekIn(ctx, off, min(step, size-off), hole)
		switch {
		case err != nil:
			return 0, err
		case found:
			return at, nil
		case at >= size && hole:
			return size, nil
		}
		off = at
	}
}

func (h *Handle) size() (int64, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	if h.n.file == nil {
		return 0, closed("fs.Seek")
	}
	return h.n.file.size, nil
}

// seekIn looks in [off, off+n) and returns where to go on if nothing was found.
func (h *Handle) seekIn(ctx context.Context, off, n int64, hole bool) (int64, bool, error) {
	t, err := h.fs.load(ctx, h.n)
	if err != nil {
		return 0, false, err
	}
	var parts []part
	h.n.mu.Lock()
	f := h.n.file
	if f == nil {
		h.n.mu.Unlock()
		return 0, false, closed("fs.Seek")
	}
	f.visit(off, n, func(s span, covered bool) {
		parts = append(parts, part{s, covered})
	})
	h.n.mu.Unlock()
	for _, p := range parts {
		if p.covered {
			if p.zero() == hole {
				return p.off, true, nil
			}
			continue
		}
		pieces, err := h.fs.pieces(ctx, t.Tree, p.off, p.n)
		if err != nil {
			return 0, false, err
		}
		end := p.off
		for _, pc := range pieces {
			at := max(int64(pc.Off), p.off)
			if pc.IsHole() == hole {
				return at, true, nil
			}
			end = int64(pc.End())
		}
		if end < p.off+p.n && hole { // beyond the tree
			return max(end, p.off), true, nil
		}
	}
	return off + n, false, nil
}
