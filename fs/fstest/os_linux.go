package fstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// OS makes a Sys of a directory of this system.
func OS(dir string) Sys { return osSys(dir) }

type osSys string

func (s osSys) at(p string) string { return filepath.Join(string(s), p) }

// again repeats a call that a signal interrupted; Go's runtime sends itself many.
func again(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR {
			return err
		}
	}
}

func (s osSys) Open(p string, flag int, mode uint32) (File, error) {
	var fd int
	err := again(func() (err error) { fd, err = unix.Open(s.at(p), flag|unix.O_CLOEXEC, mode); return })
	if err != nil {
		return nil, err
	}
	return &osFile{fd: fd}, nil
}

func (s osSys) Mkdir(p string, mode uint32) error  { return unix.Mkdir(s.at(p), mode) }
func (s osSys) Mkfifo(p string, mode uint32) error { return unix.Mkfifo(s.at(p), mode) }
func (s osSys) Symlink(target, p string) error     { return unix.Symlink(target, s.at(p)) }
func (s osSys) Link(old, p string) error           { return unix.Link(s.at(old), s.at(p)) }
func (s osSys) Unlink(p string) error              { return unix.Unlink(s.at(p)) }
func (s osSys) Rmdir(p string) error               { return unix.Rmdir(s.at(p)) }
func (s osSys) Chmod(p string, mode uint32) error  { return unix.Chmod(s.at(p), mode) }
func (s osSys) Chown(p string, uid, gid int) error { return unix.Lchown(s.at(p), uid, gid) }
func (s osSys) Removexattr(p, name string) error   { return unix.Lremovexattr(s.at(p), name) }

func (s osSys) Readlink(p string) (string, error) {
	buf := make([]byte, 8192)
	n, err := unix.Readlink(s.at(p), buf)
	return string(buf[:max(n, 0)]), err
}

func (s osSys) Rename(from, to string, flag RenameFlag) error {
	return again(func() error {
		return unix.Renameat2(unix.AT_FDCWD, s.at(from), unix.AT_FDCWD, s.at(to), uint(flag))
	})
}

func (s osSys) Lstat(p string) (Stat, error) {
	var st unix.Stat_t
	err := unix.Lstat(s.at(p), &st)
	return fromStat(&st), err
}

func fromStat(st *unix.Stat_t) Stat {
	t := Special
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		t = Regular
	case unix.S_IFDIR:
		t = Dir
	case unix.S_IFLNK:
		t = Symlink
	case unix.S_IFIFO:
		t = Fifo
	}
	return Stat{
		Ino: st.Ino, Mode: st.Mode & 0o7777, Type: t, Nlink: uint32(st.Nlink), UID: st.Uid, GID: st.Gid, Size: st.Size, Blocks: st.Blocks,
		Atime: st.Atim.Nano(), Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(),
	}
}

func (s osSys) Utimes(p string, atime, mtime int64) error {
	ts := []unix.Timespec{nsec(atime), nsec(mtime)}
	return unix.UtimesNanoAt(unix.AT_FDCWD, s.at(p), ts, unix.AT_SYMLINK_NOFOLLOW)
}

// nsec is unix.NsecToTimespec with nanoseconds that are never negative.
func nsec(ns int64) unix.Timespec {
	sec, rest := ns/1e9, ns%1e9
	if rest < 0 {
		sec, rest = sec-1, rest+1e9
	}
	return unix.Timespec{Sec: sec, Nsec: rest}
}

func (s osSys) Truncate(p string, size int64) error {
	return again(func() error { return unix.Truncate(s.at(p), size) })
}

func (s osSys) ReadDir(p string) ([]string, error) {
	f, err := os.Open(s.at(p))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (s osSys) SyncDir(p string) error {
	d, err := s.Open(p, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (s osSys) Setxattr(p, name string, v []byte, flag int) error {
	return unix.Lsetxattr(s.at(p), name, v, flag)
}

func (s osSys) Getxattr(p, name string) ([]byte, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Lgetxattr(s.at(p), name, buf)
	return buf[:max(n, 0)], err
}

func (s osSys) Listxattr(p string) ([]string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(s.at(p), buf)
	return attrNames(buf[:max(n, 0)]), err
}

func (s osSys) Statfs() (Space, error) {
	var st unix.Statfs_t
	err := unix.Statfs(string(s), &st)
	return Space{Total: st.Blocks * uint64(st.Bsize), Avail: st.Bavail * uint64(st.Bsize)}, err
}

type osFile struct {
	fd     int
	closed bool
}

func (f *osFile) Pread(p []byte, off int64) (n int, err error) {
	err = again(func() (err error) { n, err = unix.Pread(f.fd, p, off); return })
	return n, err
}

func (f *osFile) Pwrite(p []byte, off int64) (n int, err error) {
	err = again(func() (err error) { n, err = unix.Pwrite(f.fd, p, off); return })
	return n, err
}

func (f *osFile) Append(p []byte) (n int, err error) {
	err = again(func() (err error) { n, err = unix.Write(f.fd, p); return })
	return n, err
}

func (f *osFile) Stat() (Stat, error) {
	var st unix.Stat_t
	err := unix.Fstat(f.fd, &st)
	return fromStat(&st), err
}

func (f *osFile) Truncate(size int64) error {
	return again(func() error { return unix.Ftruncate(f.fd, size) })
}

func (f *osFile) Allocate(mode uint32, off, n int64) error {
	return again(func() error { return unix.Fallocate(f.fd, mode, off, n) })
}

func (f *osFile) CopyFrom(src File, off, from, n int64) (m int64, err error) {
	err = again(func() error {
		k, err := unix.CopyFileRange(src.(*osFile).fd, &from, f.fd, &off, int(n), 0)
		m = int64(k)
		return err
	})
	return m, err
}

func (f *osFile) Find(off int64, hole bool) (int64, error) {
	whence := unix.SEEK_DATA
	if hole {
		whence = unix.SEEK_HOLE
	}
	return unix.Seek(f.fd, off, whence)
}

func (f *osFile) Chmod(mode uint32) error  { return unix.Fchmod(f.fd, mode) }
func (f *osFile) Chown(uid, gid int) error { return unix.Fchown(f.fd, uid, gid) }

func (f *osFile) Utimes(atime, mtime int64) error {
	ts := []unix.Timespec{nsec(atime), nsec(mtime)}
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.fd), ts, 0)
}

func (f *osFile) Setxattr(name string, v []byte, flag int) error {
	return unix.Fsetxattr(f.fd, name, v, flag)
}

func (f *osFile) Removexattr(name string) error { return unix.Fremovexattr(f.fd, name) }

func (f *osFile) Getxattr(name string) ([]byte, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Fgetxattr(f.fd, name, buf)
	return buf[:max(n, 0)], err
}

func (f *osFile) Listxattr() ([]string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Flistxattr(f.fd, buf)
	return attrNames(buf[:max(n, 0)]), err
}

// attrNames takes a list of names, each ended by a zero, apart.
func attrNames(list []byte) []string {
	if len(list) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
}

func (f *osFile) Sync() error { return again(func() error { return unix.Fsync(f.fd) }) }

func (f *osFile) Close() error {
	if f.closed {
		return syscall.EBADF
	}
	f.closed = true
	return unix.Close(f.fd)
}
