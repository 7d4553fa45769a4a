//go:build linux || darwin || freebsd

package fusefs

import (
	"context"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/handles"
	"github.com/shelffs/shelf/internal/errs"
)

// raw answers the kernel's requests.
type raw struct {
	fuse.RawFileSystem // ENOSYS for the rest
	core               *fs.FS
	opts               Options
	files              handles.Table[*fs.Handle]
	dirs               handles.Table[*fs.Dir]
	echo               *echo // nil: programs that watch hear nothing of other devices
}

func newRaw(core *fs.FS, o Options) *raw {
	return &raw{RawFileSystem: fuse.NewDefaultRawFileSystem(), core: core, opts: o}
}

func (r *raw) String() string { return "shelf" }

// closeAll ends the handles that the kernel left open when the mount went.
func (r *raw) closeAll() {
	r.files.Drain(func(h *fs.Handle) { h.Close() })
	r.dirs.Drain(func(d *fs.Dir) { d.Close() })
}

// request is the context of one request: it ends when the kernel interrupts it. It makes
// no goroutine and no timer.
type request struct{ cancel <-chan struct{} }

var _ context.Context = request{}

func (r request) Deadline() (time.Time, bool) { return time.Time{}, false }
func (r request) Done() <-chan struct{}       { return r.cancel }
func (r request) Value(any) any               { return nil }
func (r request) Err() error {
	select {
	case <-r.cancel:
		return context.Canceled
	default:
		return nil
	}
}

// reading is a request that may bring bytes here, and so is known by who makes it.
type reading struct {
	request
	pid uint32
}

func (r reading) Value(key any) any {
	if fs.IsReaderKey(key) {
		return fs.Reader{PID: r.pid}
	}
	return nil
}

func status(err error) fuse.Status { return fuse.Status(fs.Errno(err)) }

func caller(h *fuse.InHeader) fs.Caller { return fs.Caller{UID: h.Uid, GID: h.Gid} }

func badHandle() error { return errs.E("fusefs", errs.Stale, "", nil) }
