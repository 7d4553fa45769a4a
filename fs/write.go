package fs

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// WriteFlags qualify one write.
type WriteFlags struct {
	// Cached marks pages that the kernel writes back for a memory map: the offset counts,
	// also on a handle opened to append.
	Cached bool
	// More says that this may be a part of a larger write, the rest of which follows at once.
	More bool
	// Synced says that a sync follows in any case, so that a handle's Sync need not see to it.
	Synced bool
	// ClearSetID drops set-uid and set-gid: the writer has no privileges.
	ClearSetID bool
}

// WriteAt writes p at off (on an Append handle: at the end) into memory; see Sync and
// Flush for what saves it. It waits while too much is unsaved. NoSpace comes before
// anything is taken; TooLarge; Interrupted.
func (h *Handle) WriteAt(ctx context.Context, off int64, p []byte, fl WriteFlags) (int, error) {
	const op = "fs.Write"
	if !h.flags.Write {
		return 0, errs.E(op, errs.Invalid, "", nil)
	}
	if off < 0 || off > blocks.MaxSize-int64(len(p)) {
		return 0, errs.E(op, errs.TooLarge, "", nil)
	}
	if len(p) == 0 {
		return 0, nil
	}
	h.n.writes.Add(1)
	defer h.n.writes.Add(-1)
	if err := h.fs.admit(ctx, int64(len(p))); err != nil {
		return 0, err
	}
	h.use()
	if err := h.write(off, p, fl); err != nil {
		return 0, err
	}
	if h.flags.Sync && !fl.Synced {
		if err := h.Sync(ctx); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (h *Handle) write(off int64, p []byte, fl WriteFlags) error {
	fs, n := h.fs, h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.file
	if f == nil {
		return closed("fs.Write")
	}
	if h.flags.Append && !fl.Cached && off != f.size {
		// Another device made the file longer or shorter, and the kernel has not looked
		// since: its pages are at the wrong place.
		off = f.size
		fs.tellBytes(n.ino)
	}
	f.reach(off)
	f.write(off, p)
	return fs.wrote(f, off+int64(len(p)), fl)
}

// wrote notes that bytes up to end were laid over the file. f.n.mu is held.
func (fs *FS) wrote(f *file, end int64, fl WriteFlags) error {
	f.size = max(f.size, end)
	fs.notePart(f, fl.More)
	fs.touch(f)
	if err := fs.dropSetID(f, fl); err != nil {
		return err
	}
	if f.dirty.large() && !f.queued {
		fs.saver.enqueue(f.n, true) // whoever writes so much is soon to wait
	}
	return nil
}

// dropSetID is for who changes the bytes without privileges. f.n.mu is held.
func (fs *FS) dropSetID(f *file, fl WriteFlags) error {
	if !fl.ClearSetID || f.entry.Mode&setIDs == 0 {
		return nil
	}
	_, err := fs.setEntry(f.n, f.entry, AttrChange{ClearSetID: true})
	if err == nil {
		f.entry.Mode = withoutSetID(f.entry)
	}
	return err
}

// One file may hold so much in memory, and so many spans, before it is sealed while still being written.
const (
	earlySeal = 8 << 20
	manySpans = 4096
)

// admit lets a write of n bytes in: it waits until memory allows, and refuses with NoSpace
// what the disk could not take.
func (fs *FS) admit(ctx context.Context, n int64) error {
	if fs.mem.used.Load()+n > fs.cfg.Limits.Unsaved {
		if err := fs.saver.relieve(ctx, n); err != nil {
			return err
		}
	}
	return fs.saver.space(n)
}

// Fallocate flags, as in fallocate(2).
const (
	FallocKeepSize  = 1
	FallocPunchHole = 2
	FallocZeroRange = 16
)

// Fallocate makes room or zeros; of fl only ClearSetID counts. Unsupported for modes that move bytes.
func (h *Handle) Fallocate(ctx context.Context, off, length int64, mode uint32, fl WriteFlags) error {
	const op = "fs.Fallocate"
	if off < 0 || length <= 0 || !h.flags.Write {
		return errs.E(op, errs.Invalid, "", nil)
	}
	if off > blocks.MaxSize-length {
		return errs.E(op, errs.TooLarge, "", nil)
	}
	zero := false
	switch mode &^ FallocKeepSize {
	case 0:
	case FallocZeroRange:
		zero = true
	case FallocPunchHole:
		if mode&FallocKeepSize == 0 {
			return errs.E(op, errs.Unsupported, "", nil)
		}
		zero = true
	default:
		return errs.E(op, errs.Unsupported, "", nil)
	}
	room := length
	if mode&FallocPunchHole != 0 {
		room = 0
	}
	if err := h.fs.saver.space(room); err != nil {
		return err
	}
	if err := h.fs.admit(ctx, 0); err != nil {
		return err
	}
	if err := h.allocate(off, off+length, zero, mode&FallocKeepSize != 0, fl); err != nil || !h.flags.Sync {
		return err
	}
	return h.Sync(ctx)
}

func (h *Handle) allocate(off, end int64, zero, keepSize bool, fl WriteFlags) error {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	f := h.n.file
	if f == nil {
		return closed("fs.Fallocate")
	}
	if zero {
		f.zero(off, min(end, f.size)-off)
	}
	if !keepSize && end > f.size {
		f.resize(end)
	}
	h.fs.touch(f) // the times move in any case
	return h.fs.dropSetID(f, fl)
}
