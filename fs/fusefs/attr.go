//go:build linux || darwin || freebsd

package fusefs

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/namespace"
)

// typeBits maps kinds to the S_IF bits of a mode, and kindOf back.
var typeBits = map[namespace.Kind]uint32{
	namespace.File: unix.S_IFREG, namespace.Dir: unix.S_IFDIR, namespace.Symlink: unix.S_IFLNK, namespace.Fifo: unix.S_IFIFO,
	namespace.Socket: unix.S_IFSOCK, namespace.CharDev: unix.S_IFCHR, namespace.BlockDev: unix.S_IFBLK,
}

func kindOf(mode uint32) (namespace.Kind, bool) {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, 0:
		return namespace.File, true
	case unix.S_IFDIR:
		return namespace.Dir, true
	case unix.S_IFLNK:
		return namespace.Symlink, true
	case unix.S_IFIFO:
		return namespace.Fifo, true
	case unix.S_IFSOCK:
		return namespace.Socket, true
	case unix.S_IFCHR:
		return namespace.CharDev, true
	case unix.S_IFBLK:
		return namespace.BlockDev, true
	}
	return 0, false
}

func setAttr(out *fuse.Attr, a *fs.Attr) {
	*out = fuse.Attr{
		Ino: uint64(a.Ino), Size: uint64(a.Size), Blocks: a.Blocks(),
		Mode: a.Mode | typeBits[a.Kind], Nlink: a.Nlink, Owner: fuse.Owner{Uid: a.UID, Gid: a.GID}, Rdev: a.Rdev,
	}
	setBlksize(out)
	out.Atime, out.Atimensec = split(a.Atime)
	out.Mtime, out.Mtimensec = split(a.Mtime)
	out.Ctime, out.Ctimensec = split(a.Ctime)
}

// split makes seconds and nanoseconds; the latter are never negative.
func split(ns int64) (uint64, uint32) {
	s, n := ns/int64(time.Second), ns%int64(time.Second)
	if n < 0 {
		s, n = s-1, n+int64(time.Second)
	}
	return uint64(s), uint32(n)
}

// setEntry fills a looked-up entry.
func (r *raw) setEntry(out *fuse.EntryOut, a *fs.Answer) {
	out.NodeId, out.Generation = uint64(a.Ino), 1
	setAttr(&out.Attr, &a.Attr)
	out.SetEntryTimeout(0)
	out.SetAttrTimeout(0)
	if a.Cache && !a.Brief {
		out.SetAttrTimeout(r.opts.Positive)
		if a.Name {
			out.SetEntryTimeout(r.opts.Positive)
		}
	}
}

func (r *raw) setAttrOut(out *fuse.AttrOut, a *fs.Attr) {
	setAttr(&out.Attr, a)
	if !a.Brief {
		out.SetTimeout(r.opts.Positive)
	}
}
