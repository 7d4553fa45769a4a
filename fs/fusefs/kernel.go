//go:build linux || darwin || freebsd

package fusefs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

// kernel is the fs.Invalidator of a mount.
type kernel struct {
	srv  *fuse.Server
	dev  *device
	echo *echo
}

var (
	_ fs.Invalidator = kernel{}
	_ fs.Herald      = kernel{}
)

func (k kernel) Watching() bool     { return k.echo.watching() }
func (k kernel) Herald(ev fs.Event) { k.echo.tell(ev) }

func (k kernel) Inode(i fs.Ino, data bool) error {
	off := int64(-1) // attributes only
	if data {
		off = 0
	}
	return told(k.srv.InodeNotify(uint64(i), off, 0))
}

func (k kernel) Entry(dir fs.Ino, name string) error {
	return told(k.dev.expire(dir, name))
}

func (k kernel) Left(dir fs.Ino, name string) error {
	return told(k.srv.EntryNotify(uint64(dir), name))
}

func (k kernel) Gone(dir, child fs.Ino, name string) error {
	st := k.srv.DeleteNotify(uint64(dir), uint64(child), name)
	if st == fuse.Status(syscall.ENOTEMPTY) || st == fuse.Status(syscall.EBUSY) {
		st = k.srv.EntryNotify(uint64(dir), name) // the kernel holds something below it
	}
	return told(st)
}

func told(st fuse.Status) error {
	switch st {
	case fuse.OK:
		return nil
	case fuse.ENOENT:
		return errs.E("fusefs", errs.NotExist, "", nil)
	}
	return errs.E("fusefs", errs.Other, "", syscall.Errno(st))
}
