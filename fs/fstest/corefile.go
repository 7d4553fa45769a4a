package fstest

import (
	"syscall"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

type coreFile struct {
	s      *coreSys
	ino    fs.Ino
	h      *fs.Handle
	closed bool
}

// coreDir is an open directory; of a file it has the attributes.
type coreDir struct {
	coreFile
	d *fs.Dir
}

func (d *coreDir) Close() error {
	if d.closed {
		return syscall.EBADF
	}
	d.closed = true
	d.d.Close()
	d.s.fs.Forget(d.ino, 1)
	return nil
}

func (f *coreFile) Pread(p []byte, off int64) (int, error) {
	n, err := f.h.Read(bg, off, p)
	return n, errno(err)
}

func (f *coreFile) Pwrite(p []byte, off int64) (int, error) {
	n, err := f.h.WriteAt(bg, off, p, fs.WriteFlags{})
	return n, errno(err)
}

func (f *coreFile) Append(p []byte) (int, error) { return f.Pwrite(p, 0) }

func (f *coreFile) Stat() (Stat, error) {
	a, err := f.s.fs.Getattr(bg, f.ino)
	return toStat(a), errno(err)
}

func (f *coreFile) Truncate(size int64) error {
	return f.set(fs.AttrChange{Size: &size})
}

func (f *coreFile) Allocate(mode uint32, off, n int64) error {
	return errno(f.h.Fallocate(bg, off, n, mode, fs.WriteFlags{}))
}

func (f *coreFile) CopyFrom(src File, off, from, n int64) (int64, error) {
	m, err := f.h.CopyRange(bg, off, src.(*coreFile).h, from, n, fs.WriteFlags{})
	return m, errno(err)
}

func (f *coreFile) Find(off int64, hole bool) (int64, error) {
	at, err := f.h.Seek(bg, off, hole)
	if errs.Is(err, errs.Range) {
		return 0, syscall.ENXIO
	}
	return at, errno(err)
}

func (f *coreFile) set(c fs.AttrChange) error {
	_, err := f.s.fs.Setattr(bg, f.ino, c)
	return errno(err)
}

func (f *coreFile) Chmod(mode uint32) error  { return f.set(fs.AttrChange{Mode: &mode}) }
func (f *coreFile) Chown(uid, gid int) error { return f.set(owners(uid, gid)) }

func (f *coreFile) Utimes(atime, mtime int64) error {
	a, m := time.Unix(0, atime), time.Unix(0, mtime)
	return f.set(fs.AttrChange{Atime: &a, Mtime: &m})
}

func (f *coreFile) Setxattr(name string, v []byte, flag int) error {
	return errno(f.s.fs.Setxattr(bg, f.ino, name, v, xattrFlag(flag)))
}

func (f *coreFile) Getxattr(name string) ([]byte, error) {
	v, err := f.s.fs.Getxattr(bg, f.ino, name)
	return v, errno(err)
}

func (f *coreFile) Listxattr() ([]string, error) {
	names, err := f.s.fs.Listxattr(bg, f.ino)
	return names, errno(err)
}

func (f *coreFile) Removexattr(name string) error {
	return errno(f.s.fs.Removexattr(bg, f.ino, name))
}

func (f *coreFile) Sync() error { return errno(f.h.Sync(bg)) }

func (f *coreFile) Close() error {
	if f.closed {
		return syscall.EBADF
	}
	f.closed = true
	err := f.h.Flush(bg)
	f.h.Close()
	return errno(err)
}
