//go:build linux || darwin || freebsd

package fusefs

import (
	"context"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

func openFlags(flags uint32) fs.OpenFlags {
	mode := flags & syscall.O_ACCMODE
	return fs.OpenFlags{
		Read:     mode != syscall.O_WRONLY,
		Write:    mode != syscall.O_RDONLY,
		Append:   flags&syscall.O_APPEND != 0,
		Truncate: flags&syscall.O_TRUNC != 0,
		Sync:     flags&syscall.O_SYNC != 0, // on Linux this has the bit of O_DSYNC, too
	}
}

// setOpen tells the kernel of a handle. Its pages of the file stay good: fs says when they
// do not. Who only reads need not tell us of close.
func (r *raw) setOpen(out *fuse.OpenOut, h *fs.Handle) {
	out.Fh = r.files.Put(h)
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	if !h.Flags().Write {
		out.OpenFlags |= fuse.FOPEN_NOFLUSH
	}
}

func (r *raw) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	fl := openFlags(in.Flags)
	fl.Read = true // the kernel checks, and reads pages also for who only writes to a map
	var ctx context.Context = reading{request{cancel}, in.Pid}
	if r.echo.from(&in.InHeader) != nil {
		ctx = request{cancel} // it uses nothing
	}
	h, err := r.core.Open(ctx, fs.Ino(in.NodeId), fl)
	if err != nil {
		return status(err)
	}
	if in.Mode&fuse.OPEN_KILL_SUIDGID != 0 && fl.Truncate {
		if _, err := r.core.Setattr(request{cancel}, fs.Ino(in.NodeId), fs.AttrChange{ClearSetID: true}); err != nil {
			h.Close()
			return status(err)
		}
	}
	r.setOpen(out, h)
	return fuse.OK
}

func (r *raw) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	fl := openFlags(in.Flags)
	fl.Read = true
	if r.echo.of(&in.InHeader, name, fs.Appeared) {
		return r.createEcho(cancel, in, name, fl, out)
	}
	a, h, err := r.core.Create(reading{request{cancel}, in.Pid}, caller(&in.InHeader), fs.Ino(in.NodeId), name, in.Mode&0o7777, fl, in.Flags&syscall.O_EXCL != 0)
	if err != nil {
		return status(err)
	}
	r.setEntry(&out.EntryOut, &a)
	r.setOpen(&out.OpenOut, h)
	return fuse.OK
}

// createEcho is Create for the helper of the herald: what it creates is there.
func (r *raw) createEcho(cancel <-chan struct{}, in *fuse.CreateIn, name string, fl fs.OpenFlags, out *fuse.CreateOut) fuse.Status {
	if err := r.appeared(cancel, &in.InHeader, name, namespace.File, &out.EntryOut); err != nil {
		return status(err)
	}
	h, err := r.core.Open(request{cancel}, fs.Ino(out.NodeId), fl)
	if err != nil {
		r.core.Forget(fs.Ino(out.NodeId), 1)
		return status(err)
	}
	r.setOpen(&out.OpenOut, h)
	return fuse.OK
}

func (r *raw) Tmpfile(cancel <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	fl := openFlags(in.Flags)
	fl.Read = true
	a, h, err := r.core.Tmpfile(reading{request{cancel}, in.Pid}, caller(&in.InHeader), fs.Ino(in.NodeId), in.Mode&0o7777, fl)
	if err != nil {
		return status(err)
	}
	r.setEntry(&out.EntryOut, &a)
	r.setOpen(&out.OpenOut, h)
	return fuse.OK
}

func (r *raw) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h, ok := r.files.Get(in.Fh)
	if !ok {
		return nil, status(badHandle())
	}
	b, err := h.ReadAt(reading{request{cancel}, in.Pid}, int64(in.Offset), int(in.Size))
	if err != nil {
		return nil, status(err)
	}
	return newReadResult(b, buf), fuse.OK
}

func (r *raw) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h, ok := r.files.Get(in.Fh)
	if !ok {
		return 0, status(badHandle())
	}
	n, err := h.WriteAt(request{cancel}, int64(in.Offset), data, fs.WriteFlags{
		Cached:     in.WriteFlags&fuse.WRITE_CACHE != 0,
		More:       more(in),
		Synced:     true, // by fsync, with which the kernel follows each write on such a file
		ClearSetID: in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0,
	})
	return uint32(n), status(err)
}

// more reports whether a request may be a part of a write(2), and not its last: it is as large as a request can be,
// or it goes from the middle of a page to the end of one. (Linux 6.18 hands the first page over alone if the
// write begins within it and it is not cached.)
func more(in *fuse.WriteIn) bool {
	const largest = 64 << 10 // the largest page there is: a full request that does not begin with one lacks a part of it
	page := uint64(os.Getpagesize())
	full := in.Size > maxWrite-largest
	head := in.Offset%page != 0 && (in.Offset+uint64(in.Size))%page == 0
	return in.WriteFlags&fuse.WRITE_CACHE == 0 && (full || head)
}

// unprivileged reports whether a change takes set-id bits away. With a write the kernel says so; here it leaves it to
// us, and tells no more than who asks.
func unprivileged(h *fuse.InHeader) bool { return h.Uid != 0 }

func (r *raw) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	src, ok := r.files.Get(in.FhIn)
	if !ok {
		return 0, status(badHandle())
	}
	h, ok := r.files.Get(in.FhOut)
	if !ok {
		return 0, status(badHandle())
	}
	n, err := h.CopyRange(reading{request{cancel}, in.Pid}, int64(in.OffOut), src, int64(in.OffIn), int64(in.Len), fs.WriteFlags{ClearSetID: unprivileged(&in.InHeader)})
	return uint32(n), status(err)
}

func (r *raw) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	h, ok := r.files.Get(in.Fh)
	if !ok {
		return status(badHandle())
	}
	return status(h.Flush(request{cancel}))
}

func (r *raw) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	h, ok := r.files.Get(in.Fh)
	if !ok {
		return status(badHandle())
	}
	return status(h.Sync(request{cancel}))
}

func (r *raw) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if h, ok := r.files.Take(in.Fh); ok {
		h.Close()
	}
}

func (r *raw) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if r.echo.from(&in.InHeader) != nil {
		return fuse.OK
	}
	h, ok := r.files.Get(in.Fh)
	if !ok {
		return status(badHandle())
	}
	return status(h.Fallocate(request{cancel}, int64(in.Offset), int64(in.Length), in.Mode, fs.WriteFlags{ClearSetID: unprivileged(&in.InHeader)}))
}

// Values of whence that reach a filesystem.
const (
	seekData = 3
	seekHole = 4
)

func (r *raw) Lseek(cancel <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	h, ok := r.files.Get(in.Fh)
	if !ok {
		return status(badHandle())
	}
	if in.Whence != seekData && in.Whence != seekHole {
		return fuse.EINVAL
	}
	off, err := h.Seek(request{cancel}, int64(in.Offset), in.Whence == seekHole)
	if errs.Is(err, errs.Range) {
		return fuse.Status(syscall.ENXIO)
	}
	out.Offset = uint64(off)
	return status(err)
}
