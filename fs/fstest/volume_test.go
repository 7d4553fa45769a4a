package fstest

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/winfs"
	"github.com/shelffs/shelf/internal/namespace"
)

// volumeExceptions are the tests that the requests of WinFsp cannot pass.
var volumeExceptions = map[string]string{
	"RemovedFileHasAttributes": "some attributes are asked for by path only",
	"RemovedDirHasAttributes":  "what is open cannot be removed",
	"RenameExchange":           "a rename has no flags",
	"RenameNoReplace":          "a rename has no flags",
	"PunchHole":                "no request", "Allocate": "no request", "SeekDataHole": "no request", "SeekDense": "no request", "Model": "holes", "BlocksOfHoles": "holes",
	"Copy": "no request", "CopyMovesTimes": "no request", "CopyOfPartsAndBeyond": "no request", "CopyOfHoles": "no request", "CopyModel": "no request",
}

func TestVolume(t *testing.T) { RunExcept(t, overAVolume(t), volumeExceptions) }

// overAVolume makes directories of one device the roots of tests, by the requests of WinFsp.
func overAVolume(t *testing.T) func(t *testing.T) Sys {
	d := newDevice(t, setup{n: 1})
	v := winfs.New(d.fs)
	t.Cleanup(v.Close)
	n := 0
	return func(t *testing.T) Sys {
		n++
		s := &volumeSys{v, fmt.Sprint("/test", n)}
		if err := (&volumeSys{v, ""}).Mkdir(s.root, 0o755); err != nil {
			t.Fatal(err)
		}
		return s
	}
}

type volumeSys struct {
	v    *winfs.Volume
	root string
}

func (s *volumeSys) Open(p string, flag int, mode uint32) (File, error) {
	fl := fs.OpenFlags{
		Read: flag&(os.O_WRONLY|os.O_RDWR) != os.O_WRONLY, Write: flag&(os.O_WRONLY|os.O_RDWR) != 0,
		Append: flag&os.O_APPEND != 0, Truncate: flag&os.O_TRUNC != 0, Sync: flag&os.O_SYNC != 0,
	}
	var fh uint64
	var err error
	if flag&os.O_CREATE != 0 {
		fh, err = s.v.Create(self(), s.root+p, mode, fl, flag&os.O_EXCL != 0)
	} else {
		fh, err = s.v.Open(s.root+p, fl)
	}
	if err != nil {
		return nil, errno(err)
	}
	return &volumeFile{s: s, fh: fh}, nil
}

func (s *volumeSys) mknod(p string, spec namespace.Spec) error {
	return errno(s.v.Mknod(self(), s.root+p, spec))
}

func (s *volumeSys) Mkdir(p string, mode uint32) error {
	return s.mknod(p, namespace.Spec{Kind: namespace.Dir, Mode: mode})
}

func (s *volumeSys) Mkfifo(p string, mode uint32) error {
	return s.mknod(p, namespace.Spec{Kind: namespace.Fifo, Mode: mode})
}

func (s *volumeSys) Symlink(target, p string) error {
	return s.mknod(p, namespace.Spec{Kind: namespace.Symlink, Mode: 0o777, Target: target})
}

func (s *volumeSys) Readlink(p string) (string, error) {
	target, err := s.v.Readlink(s.root + p)
	return target, errno(err)
}

func (s *volumeSys) Link(old, p string) error { return errno(s.v.Link(s.root+old, s.root+p)) }
func (s *volumeSys) Unlink(p string) error    { return errno(s.v.Remove(s.root+p, false)) }
func (s *volumeSys) Rmdir(p string) error     { return errno(s.v.Remove(s.root+p, true)) }

func (s *volumeSys) Rename(from, to string, flag RenameFlag) error {
	if flag != Replace {
		return syscall.EOPNOTSUPP
	}
	return errno(s.v.Rename(s.root+from, s.root+to))
}

func (s *volumeSys) Lstat(p string) (Stat, error) {
	a, err := s.v.Getattr(s.root+p, winfs.NoHandle)
	return toStat(a), errno(err)
}

func (s *volumeSys) set(p string, c fs.AttrChange) error {
	return errno(s.v.Setattr(s.root+p, winfs.NoHandle, c))
}

func (s *volumeSys) Chmod(p string, mode uint32) error   { return s.set(p, fs.AttrChange{Mode: &mode}) }
func (s *volumeSys) Truncate(p string, size int64) error { return s.set(p, fs.AttrChange{Size: &size}) }

func (s *volumeSys) Chown(p string, uid, gid int) error { return s.set(p, owners(uid, gid)) }

func (s *volumeSys) Utimes(p string, atime, mtime int64) error {
	a, m := time.Unix(0, atime), time.Unix(0, mtime)
	return s.set(p, fs.AttrChange{Atime: &a, Mtime: &m})
}

func (s *volumeSys) ReadDir(p string) (names []string, err error) {
	fh, err := s.v.Opendir(s.root + p)
	if err != nil {
		return nil, errno(err)
	}
	defer s.v.Releasedir(fh)
	for off, more := uint64(0), true; more; {
		more = false
		n := 0
		err = s.v.Readdir(fh, off, func(e fs.Dirent, _ *fs.Attr) bool {
			if n++; n > 50 {
				return false
			}
			if off, more = e.Offset, true; e.Name != "." && e.Name != ".." {
				names = append(names, e.Name)
			}
			return true
		})
		if err != nil {
			return nil, errno(err)
		}
	}
	return names, nil
}

func (s *volumeSys) SyncDir(p string) error {
	fh, err := s.v.Opendir(s.root + p)
	if err != nil {
		return errno(err)
	}
	defer s.v.Releasedir(fh)
	return errno(s.v.Fsyncdir(fh))
}

func (s *volumeSys) Setxattr(p, name string, v []byte, flag int) error {
	return errno(s.v.Setxattr(s.root+p, name, v, xattrFlag(flag)))
}

func (s *volumeSys) Getxattr(p, name string) ([]byte, error) {
	v, err := s.v.Getxattr(s.root+p, name)
	return v, errno(err)
}

func (s *volumeSys) Listxattr(p string) ([]string, error) {
	names, err := s.v.Listxattr(s.root + p)
	return names, errno(err)
}

func (s *volumeSys) Removexattr(p, name string) error { return errno(s.v.Removexattr(s.root+p, name)) }

func (s *volumeSys) Statfs() (Space, error) {
	u := s.v.Statfs()
	return Space{Total: u.Total, Avail: u.Avail}, nil
}

type volumeFile struct {
	s      *volumeSys
	fh     uint64
	closed bool
}

func (f *volumeFile) Pread(p []byte, off int64) (int, error) {
	n, err := f.s.v.Read(f.fh, p, off)
	return n, errno(err)
}

func (f *volumeFile) Pwrite(p []byte, off int64) (int, error) {
	n, err := f.s.v.Write(f.fh, p, off)
	return n, errno(err)
}

func (f *volumeFile) Append(p []byte) (int, error) { return f.Pwrite(p, 0) }

func (f *volumeFile) Stat() (Stat, error) {
	a, err := f.s.v.Getattr("", f.fh)
	return toStat(a), errno(err)
}

func (f *volumeFile) Truncate(size int64) error {
	return errno(f.s.v.Setattr("", f.fh, fs.AttrChange{Size: &size}))
}

func (f *volumeFile) Allocate(uint32, int64, int64) error { return syscall.EOPNOTSUPP }
func (f *volumeFile) Find(int64, bool) (int64, error)     { return 0, syscall.EOPNOTSUPP }

func (f *volumeFile) CopyFrom(File, int64, int64, int64) (int64, error) {
	return 0, syscall.EOPNOTSUPP
}

func (f *volumeFile) Sync() error { return errno(f.s.v.Fsync(f.fh)) }

func (f *volumeFile) Close() error {
	if f.closed {
		return syscall.EBADF
	}
	f.closed = true
	err := f.s.v.Flush(f.fh)
	f.s.v.Release(f.fh)
	return errno(err)
}
