//go:build linux || darwin || freebsd

package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
)

func (r *raw) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	a, err := r.core.Getattr(request{cancel}, fs.Ino(in.NodeId))
	if err != nil {
		return status(err)
	}
	r.setAttrOut(out, &a)
	return fuse.OK
}

func (r *raw) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if r.echo.from(&in.InHeader) != nil {
		return r.GetAttr(cancel, &fuse.GetAttrIn{InHeader: in.InHeader}, out)
	}
	c := fs.AttrChange{ClearSetID: in.Valid&fuse.FATTR_KILL_SUIDGID != 0}
	if v, ok := in.GetMode(); ok {
		c.Mode = &v
	}
	if v, ok := in.GetUID(); ok {
		c.UID = &v
	}
	if v, ok := in.GetGID(); ok {
		c.GID = &v
	}
	if v, ok := in.GetSize(); ok {
		size := int64(v)
		c.Size = &size
	}
	if in.Valid&fuse.FATTR_ATIME_NOW != 0 {
		c.AtimeNow = true
	} else if v, ok := in.GetATime(); ok {
		c.Atime = &v
	}
	if v, ok := in.GetMTime(); ok {
		c.Mtime = &v
	}
	a, err := r.core.Setattr(request{cancel}, fs.Ino(in.NodeId), c)
	if err != nil {
		return status(err)
	}
	r.setAttrOut(out, &a)
	return fuse.OK
}

func (r *raw) StatFs(cancel <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	u := r.core.Statfs(request{cancel})
	const block = 4096
	*out = fuse.StatfsOut{
		Blocks: u.Total / block, Bfree: u.Free / block, Bavail: u.Avail / block,
		Files: u.Files + 1<<32, Ffree: 1 << 32, Bsize: block, Frsize: block, NameLen: 255,
	}
	return fuse.OK
}
