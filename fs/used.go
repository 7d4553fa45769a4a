package fs

import (
	"context"

	"github.com/shelffs/shelf/internal/namespace"
)

// Uses hears which files are used; *hydration.Uses does. A use is an open with which something is read or
// written, told at most once for each.
type Uses interface {
	// Used tells of the file id and who uses it. It must not wait.
	Used(r Reader, id namespace.NodeID)
}

// opened notes who opened a handle. What was read through this mount before, the kernel may have in its
// pages, and gives to who opens it without a word to us: then opening it is all that is seen.
func (h *Handle) opened(ctx context.Context) {
	var known bool
	if h.who, known = readerOf(ctx); known && h.n.read.Load() {
		h.use()
	}
}

// use tells of the first read or write.
func (h *Handle) use() {
	if h.fs.cfg.Uses == nil || h.told.Load() || h.told.Swap(true) || h.n.past.Load() != nil {
		return
	}
	h.fs.cfg.Uses.Used(h.who, h.n.id)
}
