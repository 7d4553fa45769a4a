package fstest

import (
	"syscall"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

type coreFile struct {
	s      *coreSys
	h      *fs.Handle
	closed bool
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
	a, err := f.s.fs.Getattr(bg, f.h.Ino())
	return toStat(a), errno(err)
}

func (f *coreFile) Truncate(size int64) error {
	_, err := f.s.fs.Setattr(bg, f.h.Ino(), fs.AttrChange{Size: &size})
	return errno(err)
}

func (f *coreFile) Allocate(mode uint32, off, n int64) error {
	return errno(f.h.Fallocate(bg, off, n, mode))
}

func (f *coreFile) Find(off int64, hole bool) (int64, error) {
	at, err := f.h.Seek(bg, off, hole)
	if errs.Is(err, errs.Range) {
		return 0, syscall.ENXIO
	}
	return at, errno(err)
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
