package fs

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// OpenFlags say how a file is opened. Whether the caller may is the adapter's business.
type OpenFlags struct {
	Read, Write bool
	Append      bool // each write goes to the end, wherever the caller thinks it is
	Truncate    bool // also what is opened only to read
	Sync        bool // each write is durable before it returns (O_SYNC, O_DSYNC)
}

// Handle is an open file. Its methods may be called concurrently; reads never wait for
// one another.
type Handle struct {
	fs    *FS
	n     *inode
	flags OpenFlags
	ahead readAhead
	who   Reader
	told  atomic.Bool // of its use

	once sync.Once
}

// Open opens the file i. IsDir; Invalid for what has no bytes; Stale.
func (fs *FS) Open(ctx context.Context, i Ino, fl OpenFlags) (*Handle, error) {
	h, err := fs.open(ctx, i, fl)
	if err == nil {
		h.opened(ctx)
	}
	return h, err
}

func (fs *FS) open(ctx context.Context, i Ino, fl OpenFlags) (*Handle, error) {
	n, err := fs.table.get(i)
	if err == nil && (fl.Write || fl.Truncate) {
		n, err = fs.writable(i)
	}
	if err != nil {
		return nil, err
	}
	if fl.Truncate {
		if err := fs.admit(ctx, 0); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := fs.entry(n)
	if err != nil {
		return nil, err
	}
	switch e.Kind {
	case namespace.File:
	case namespace.Dir:
		return nil, errs.E("fs.Open", errs.IsDir, "", nil)
	default:
		return nil, errs.E("fs.Open", errs.Invalid, "", nil)
	}
	f := fs.attach(n, e)
	if fl.Truncate {
		fs.empty(f)
	}
	return fs.newHandle(n, f, fl), nil
}

// newHandle counts a handle. n.mu is held.
func (fs *FS) newHandle(n *inode, f *file, fl OpenFlags) *Handle {
	f.handles++
	if fl.Write {
		f.writers++
	}
	return &Handle{fs: fs, n: n, flags: fl}
}

// Ino is the file's number.
func (h *Handle) Ino() Ino { return h.n.ino }

// Flags is how the file was opened.
func (h *Handle) Flags() OpenFlags { return h.flags }

// Flush is what close(2) waits for: the file is handed over to be saved, in the
// background. It returns, once, why an earlier attempt failed, after trying again. While
// saving is in doubt (it failed lately, the disk is nearly full) it waits for the outcome:
// many programs look at nothing but what close says.
//
// A file that was only emptied is not handed over: before a shell writes anything to where
// it redirects, it opens with O_TRUNC, moves the descriptor by dup2 and closes the first.
func (h *Handle) Flush(ctx context.Context) error {
	if !h.flags.Write {
		return nil
	}
	h.n.mu.Lock()
	f := h.n.file
	if f == nil {
		h.n.mu.Unlock()
		return closed("fs.Flush")
	}
	if f.emptied {
		h.n.mu.Unlock()
		return nil
	}
	failed, unsaved := f.err != nil, f.touched && h.n.gone == nil
	if unsaved {
		f.want = true
		h.fs.saver.enqueue(h.n, false)
	}
	h.n.mu.Unlock()
	if failed || unsaved && h.fs.saver.inDoubt() {
		return h.fs.saver.saveAndWait(ctx, h.n)
	}
	return nil
}

// Sync returns when everything written to the file before, and all that was done to the
// tree before, is durable on this device.
func (h *Handle) Sync(ctx context.Context) error {
	promised, err := h.fs.saver.promise(ctx, h.n)
	if !promised && err == nil {
		err = h.fs.saver.saveAndWait(ctx, h.n)
	}
	if err != nil {
		return err
	}
	return h.fs.syncNames(ctx, promised)
}

// syncNames waits for the namespace, and promises, to be durable; an interrupt is heard after a grace.
func (fs *FS) syncNames(ctx context.Context, promised bool) error {
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err = fs.cfg.Names.Sync(fs.ctx); err == nil && promised {
			err = fs.cfg.Journal.Sync()
		}
	}()
	if werr := fs.wait(ctx, done); werr != nil {
		return werr
	}
	return err
}

// Close ends the handle. What is unsaved is saved in the background.
func (h *Handle) Close() {
	h.once.Do(func() {
		h.ahead.stop()
		n := h.n
		n.mu.Lock()
		defer n.mu.Unlock()
		f := n.file
		f.handles--
		if h.flags.Write {
			f.writers--
		}
		if f.touched && n.gone == nil && f.writers == 0 {
			f.want = true
			h.fs.saver.enqueue(n, false)
		}
		h.fs.detach(n)
	})
}

// closed is the answer to who uses a handle after Close.
func closed(op string) error { return errs.E(op, errs.Closed, "", nil) }
