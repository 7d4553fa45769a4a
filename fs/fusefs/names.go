//go:build linux || darwin || freebsd

package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

func (r *raw) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if r.lookupEcho(h, name, out) {
		return fuse.OK
	}
	a, err := r.core.Lookup(request{cancel}, fs.Ino(h.NodeId), name)
	if errs.Is(err, errs.NotExist) && len(name) <= namespace.MaxName && r.core.KeepsMissing() {
		out.NodeId = 0 // remembered not to exist
		out.SetEntryTimeout(r.opts.Negative)
		return fuse.OK
	}
	if err != nil {
		return status(err)
	}
	r.setEntry(out, &a)
	return fuse.OK
}

func (r *raw) Forget(node, count uint64) { r.core.Forget(fs.Ino(node), count) }

func (r *raw) mknod(cancel <-chan struct{}, h *fuse.InHeader, name string, s namespace.Spec, out *fuse.EntryOut) fuse.Status {
	if r.echo.of(h, name, fs.Appeared) {
		return status(r.appeared(cancel, h, name, s.Kind, out))
	}
	a, err := r.core.Mknod(request{cancel}, caller(h), fs.Ino(h.NodeId), name, s)
	if err != nil {
		return status(err)
	}
	r.setEntry(out, &a)
	return fuse.OK
}

func (r *raw) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	kind, ok := kindOf(in.Mode)
	if !ok {
		return fuse.EINVAL
	}
	return r.mknod(cancel, &in.InHeader, name, namespace.Spec{Kind: kind, Mode: in.Mode & 0o7777, Rdev: in.Rdev}, out)
}

func (r *raw) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return r.mknod(cancel, &in.InHeader, name, namespace.Spec{Kind: namespace.Dir, Mode: in.Mode & 0o7777}, out)
}

func (r *raw) Symlink(cancel <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return r.mknod(cancel, h, name, namespace.Spec{Kind: namespace.Symlink, Mode: 0o777, Target: target}, out)
}

func (r *raw) Readlink(cancel <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	t, err := r.core.Readlink(request{cancel}, fs.Ino(h.NodeId))
	return []byte(t), status(err)
}

func (r *raw) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	a, err := r.core.Link(request{cancel}, fs.Ino(in.Oldnodeid), fs.Ino(in.NodeId), name)
	if err != nil {
		return status(err)
	}
	r.setEntry(out, &a)
	return fuse.OK
}

func (r *raw) Unlink(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	if r.echo.of(h, name, fs.Vanished) {
		return r.vanished(cancel, h, name)
	}
	return status(r.core.Unlink(request{cancel}, fs.Ino(h.NodeId), name))
}

func (r *raw) Rmdir(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	if r.echo.of(h, name, fs.Vanished) {
		return r.vanished(cancel, h, name)
	}
	return status(r.core.Rmdir(request{cancel}, fs.Ino(h.NodeId), name))
}

// Flags of renameat2(2).
const (
	renameNoReplace = 1
	renameExchange  = 2
)

func (r *raw) Rename(cancel <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	var fl namespace.RenameFlag
	switch in.Flags {
	case 0:
		fl = namespace.RenameReplace
	case renameNoReplace:
		fl = namespace.RenameNoReplace
	case renameExchange:
		fl = namespace.RenameExchange
	default:
		return fuse.EINVAL
	}
	return status(r.core.Rename(request{cancel}, fs.Ino(in.NodeId), from, fs.Ino(in.Newdir), to, fl))
}
