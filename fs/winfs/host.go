//go:build windows || cgofuse

package winfs

import (
	"runtime"
	"syscall"
	"time"

	"github.com/winfsp/cgofuse/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/namespace"
)

// host is what the driver calls. Only what it knows of files is translated here.
type host struct {
	fuse.FileSystemBase
	*Volume
	ready chan struct{} // closed when the driver is there
}

// The method sets of the two overlap: these are the driver's.
var _ fuse.FileSystemInterface = (*host)(nil)

// codes are the driver's numbers of errors.
var codes = map[syscall.Errno]int{
	syscall.ENOENT: fuse.ENOENT, syscall.EEXIST: fuse.EEXIST, syscall.EACCES: fuse.EACCES, syscall.EPERM: fuse.EPERM,
	syscall.EINVAL: fuse.EINVAL, syscall.ENOTDIR: fuse.ENOTDIR, syscall.EISDIR: fuse.EISDIR, syscall.ENOTEMPTY: fuse.ENOTEMPTY,
	syscall.ENAMETOOLONG: fuse.ENAMETOOLONG, syscall.ENOSPC: fuse.ENOSPC, syscall.EFBIG: fuse.EFBIG, syscall.EROFS: fuse.EROFS,
	syscall.EBUSY: fuse.EBUSY, syscall.ENXIO: fuse.ENXIO, syscall.EINTR: fuse.EINTR, syscall.ETIMEDOUT: fuse.ETIMEDOUT,
	syscall.EHOSTDOWN: fuse.EHOSTUNREACH, syscall.EOPNOTSUPP: fuse.ENOTSUP, syscall.ERANGE: fuse.ERANGE, syscall.ESTALE: fuse.ENOENT,
	syscall.EMLINK: fuse.EMLINK, syscall.EDQUOT: fuse.ENOSPC, syscall.EAGAIN: fuse.EAGAIN, syscall.ENOMEM: fuse.ENOMEM, syscall.ENODATA: fuse.ENOATTR,
}

// code is what an operation returns.
func code(err error) int {
	e := fs.Errno(err)
	if e == 0 {
		return 0
	}
	if c, ok := codes[e]; ok {
		return -c
	}
	return -fuse.EIO
}

// size is code, or how much was done.
func size(n int, err error) int {
	if err != nil {
		return code(err)
	}
	return n
}

func caller() fs.Caller {
	uid, gid, _ := fuse.Getcontext()
	return fs.Caller{UID: uid, GID: gid}
}

func (h *host) Init() { close(h.ready) }

var kinds = map[uint32]namespace.Kind{
	fuse.S_IFREG: namespace.File, fuse.S_IFDIR: namespace.Dir, fuse.S_IFLNK: namespace.Symlink, fuse.S_IFIFO: namespace.Fifo,
	fuse.S_IFSOCK: namespace.Socket, fuse.S_IFCHR: namespace.CharDev, fuse.S_IFBLK: namespace.BlockDev,
}

var types = func() map[namespace.Kind]uint32 {
	m := map[namespace.Kind]uint32{}
	for t, k := range kinds {
		m[k] = t
	}
	return m
}()

func timespec(ns int64) fuse.Timespec { return fuse.NewTimespec(time.Unix(0, ns)) }

func stat(a *fs.Attr) fuse.Stat_t {
	return fuse.Stat_t{
		Ino: uint64(a.Ino), Mode: types[a.Kind] | a.Mode, Nlink: a.Nlink, Uid: a.UID, Gid: a.GID, Rdev: uint64(a.Rdev), Size: a.Size,
		Atim: timespec(a.Atime), Mtim: timespec(a.Mtime), Ctim: timespec(a.Ctime), Birthtim: timespec(a.Mtime),
		Blksize: fs.BlockSize, Blocks: int64(a.Blocks()),
	}
}

func (h *host) Statfs(_ string, out *fuse.Statfs_t) int {
	const block = 4096
	u := h.Volume.Statfs()
	*out = fuse.Statfs_t{
		Bsize: block, Frsize: block, Blocks: u.Total / block, Bfree: u.Free / block, Bavail: u.Avail / block,
		Files: u.Files + 1<<32, Ffree: 1 << 32, Favail: 1 << 32, Namemax: namespace.MaxName,
	}
	return 0
}

func (h *host) Mknod(path string, mode uint32, dev uint64) int {
	kind, ok := kinds[mode&fuse.S_IFMT]
	if !ok {
		return -fuse.EINVAL
	}
	return code(h.Volume.Mknod(caller(), path, namespace.Spec{Kind: kind, Mode: mode & 0o7777, Rdev: uint32(dev)}))
}

func (h *host) Mkdir(path string, mode uint32) int {
	return code(h.Volume.Mknod(caller(), path, namespace.Spec{Kind: namespace.Dir, Mode: mode & 0o7777}))
}

func (h *host) Symlink(target, path string) int {
	return code(h.Volume.Mknod(caller(), path, namespace.Spec{Kind: namespace.Symlink, Mode: 0o777, Target: target}))
}

func (h *host) Unlink(path string) int        { return code(h.Remove(path, false)) }
func (h *host) Rmdir(path string) int         { return code(h.Remove(path, true)) }
func (h *host) Link(old, path string) int     { return code(h.Volume.Link(old, path)) }
func (h *host) Rename(from, to string) int    { return code(h.Volume.Rename(from, to)) }
func (h *host) Access(string, uint32) int     { return -fuse.ENOSYS }
func (h *host) Flush(_ string, fh uint64) int { return code(h.Volume.Flush(fh)) }

func (h *host) Readlink(path string) (int, string) {
	target, err := h.Volume.Readlink(path)
	return code(err), target
}

func (h *host) Chmod(path string, mode uint32) int {
	mode &= 0o7777
	return code(h.Setattr(path, NoHandle, fs.AttrChange{Mode: &mode}))
}

func (h *host) Chown(path string, uid, gid uint32) int {
	var c fs.AttrChange
	if uid != ^uint32(0) {
		c.UID = &uid
	}
	if gid != ^uint32(0) {
		c.GID = &gid
	}
	return code(h.Setattr(path, NoHandle, c))
}

func (h *host) Utimens(path string, ts []fuse.Timespec) int {
	atime, mtime := time.Now(), time.Now()
	if len(ts) == 2 {
		atime, mtime = ts[0].Time(), ts[1].Time()
	}
	return code(h.Setattr(path, NoHandle, fs.AttrChange{Atime: &atime, Mtime: &mtime}))
}

func (h *host) Truncate(path string, size int64, fh uint64) int {
	return code(h.Setattr(path, fh, fs.AttrChange{Size: &size}))
}

func (h *host) Getattr(path string, out *fuse.Stat_t, fh uint64) int {
	a, err := h.Volume.Getattr(path, fh)
	if err == nil {
		*out = stat(&a)
	}
	return code(err)
}

// openFlags: read is always allowed, for the driver's cache reads for who only writes.
func openFlags(flags int) fs.OpenFlags {
	return fs.OpenFlags{
		Read: true, Write: flags&fuse.O_ACCMODE != fuse.O_RDONLY, Append: flags&fuse.O_APPEND != 0, Truncate: flags&fuse.O_TRUNC != 0,
	}
}

func (h *host) Open(path string, flags int) (int, uint64) {
	fh, err := h.Volume.Open(path, openFlags(flags))
	return code(err), fh
}

func (h *host) Create(path string, flags int, mode uint32) (int, uint64) {
	fh, err := h.Volume.Create(caller(), path, mode&0o7777, openFlags(flags), flags&fuse.O_EXCL != 0)
	return code(err), fh
}

func (h *host) Read(_ string, p []byte, off int64, fh uint64) int {
	return size(h.Volume.Read(fh, p, off))
}
func (h *host) Write(_ string, p []byte, off int64, fh uint64) int {
	return size(h.Volume.Write(fh, p, off))
}
func (h *host) Fsync(_ string, _ bool, fh uint64) int    { return code(h.Volume.Fsync(fh)) }
func (h *host) Fsyncdir(_ string, _ bool, fh uint64) int { return code(h.Volume.Fsyncdir(fh)) }

func (h *host) Release(_ string, fh uint64) int {
	h.Volume.Release(fh)
	return 0
}

func (h *host) Opendir(path string) (int, uint64) {
	fh, err := h.Volume.Opendir(path)
	return code(err), fh
}

func (h *host) Readdir(_ string, fill func(string, *fuse.Stat_t, int64) bool, off int64, fh uint64) int {
	return code(h.Volume.Readdir(fh, uint64(off), func(e fs.Dirent, a *fs.Attr) bool {
		if a == nil {
			return fill(e.Name, nil, int64(e.Offset))
		}
		st := stat(a)
		return fill(e.Name, &st, int64(e.Offset))
	}))
}

func (h *host) Releasedir(_ string, fh uint64) int {
	h.Volume.Releasedir(fh)
	return 0
}

func (h *host) Setxattr(path, name string, value []byte, flags int) int {
	fl := namespace.XattrAny
	switch flags {
	case fuse.XATTR_CREATE:
		fl = namespace.XattrCreate
	case fuse.XATTR_REPLACE:
		fl = namespace.XattrReplace
	}
	return code(h.Volume.Setxattr(path, name, value, fl))
}

func (h *host) Getxattr(path, name string) (int, []byte) {
	v, err := h.Volume.Getxattr(path, name)
	return code(err), v
}

func (h *host) Removexattr(path, name string) int { return code(h.Volume.Removexattr(path, name)) }

func (h *host) Listxattr(path string, fill func(string) bool) int {
	names, err := h.Volume.Listxattr(path)
	if err != nil {
		return code(err)
	}
	for _, n := range names {
		if !fill(n) {
			return -fuse.ERANGE
		}
	}
	return 0
}

// windows tells on which side of the tag this is.
const windows = runtime.GOOS == "windows"
