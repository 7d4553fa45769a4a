package fstest

import (
	"context"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/paths"
	"github.com/shelffs/shelf/internal/namespace"
)

// Core makes a Sys of a filesystem, or of its directory root, by direct calls, as an
// adapter would make them: each path is looked up name by name, and every mention of an
// inode is taken back.
func Core(core *fs.FS, who fs.Caller, root string) Sys { return &coreSys{core, who, root} }

type coreSys struct {
	fs   *fs.FS
	who  fs.Caller
	root string
}

var bg = context.Background()

func errno(err error) error {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	if e := fs.Errno(err); e != 0 {
		return e
	}
	return nil
}

// walk looks a path up, and calls fn with the inode while it is known.
func (s *coreSys) walk(p string, fn func(fs.Ino, fs.Attr) error) error {
	return errno(paths.Walk(bg, s.fs, s.root+p, fn))
}

// in is walk to the directory of p.
func (s *coreSys) in(p string, fn func(dir fs.Ino, name string) error) error {
	return errno(paths.In(bg, s.fs, s.root+p, fn))
}

func (s *coreSys) openDir(p string) (f File, err error) {
	dir, name := path.Split(p)
	err = s.walk(dir, func(i fs.Ino, _ fs.Attr) error {
		a, err := s.fs.Lookup(bg, i, name)
		if err != nil {
			return errno(err)
		}
		d, err := s.fs.Opendir(bg, a.Ino)
		if err != nil {
			s.fs.Forget(a.Ino, 1)
			return errno(err)
		}
		f = &coreDir{coreFile{s: s, ino: a.Ino}, d}
		return nil
	})
	return f, err
}

func (s *coreSys) Open(p string, flag int, mode uint32) (f File, err error) {
	if flag&openDirectory != 0 {
		return s.openDir(p)
	}
	fl := fs.OpenFlags{
		Read: flag&(os.O_WRONLY|os.O_RDWR) != os.O_WRONLY, Write: flag&(os.O_WRONLY|os.O_RDWR) != 0,
		Append: flag&os.O_APPEND != 0, Truncate: flag&os.O_TRUNC != 0, Sync: flag&os.O_SYNC != 0,
	}
	open := func(i fs.Ino) error {
		h, err := s.fs.Open(bg, i, fl)
		if err == nil {
			f = &coreFile{s: s, ino: h.Ino(), h: h}
		}
		return errno(err)
	}
	if flag&os.O_CREATE == 0 {
		err = s.walk(p, func(i fs.Ino, _ fs.Attr) error { return open(i) })
		return f, err
	}
	err = s.in(p, func(dir fs.Ino, name string) error {
		a, h, err := s.fs.Create(bg, s.who, dir, name, mode, fl, flag&os.O_EXCL != 0)
		if err != nil {
			return errno(err)
		}
		s.fs.Forget(a.Ino, 1) // the handle keeps it
		f = &coreFile{s: s, ino: h.Ino(), h: h}
		return nil
	})
	return f, err
}

func (s *coreSys) mknod(p string, spec namespace.Spec) error {
	return s.in(p, func(dir fs.Ino, name string) error {
		a, err := s.fs.Mknod(bg, s.who, dir, name, spec)
		if err == nil {
			s.fs.Forget(a.Ino, 1)
		}
		return errno(err)
	})
}

func (s *coreSys) Mkdir(p string, mode uint32) error {
	return s.mknod(p, namespace.Spec{Kind: namespace.Dir, Mode: mode})
}

func (s *coreSys) Mkfifo(p string, mode uint32) error {
	return s.mknod(p, namespace.Spec{Kind: namespace.Fifo, Mode: mode})
}

func (s *coreSys) Symlink(target, p string) error {
	return s.mknod(p, namespace.Spec{Kind: namespace.Symlink, Mode: 0o777, Target: target})
}

func (s *coreSys) Readlink(p string) (target string, err error) {
	err = s.walk(p, func(i fs.Ino, _ fs.Attr) error {
		t, err := s.fs.Readlink(bg, i)
		target = t
		return errno(err)
	})
	return target, err
}

func (s *coreSys) Link(old, p string) error {
	return s.walk(old, func(i fs.Ino, _ fs.Attr) error {
		return s.in(p, func(dir fs.Ino, name string) error {
			a, err := s.fs.Link(bg, i, dir, name)
			if err == nil {
				s.fs.Forget(a.Ino, 1)
			}
			return errno(err)
		})
	})
}

func (s *coreSys) Unlink(p string) error {
	return s.in(p, func(dir fs.Ino, name string) error { return errno(s.fs.Unlink(bg, dir, name)) })
}

func (s *coreSys) Rmdir(p string) error {
	return s.in(p, func(dir fs.Ino, name string) error { return errno(s.fs.Rmdir(bg, dir, name)) })
}

func (s *coreSys) Rename(from, to string, flag RenameFlag) error {
	fl := map[RenameFlag]namespace.RenameFlag{
		Replace: namespace.RenameReplace, NoReplace: namespace.RenameNoReplace, Exchange: namespace.RenameExchange,
	}[flag]
	return s.in(from, func(sd fs.Ino, src string) error {
		return s.in(to, func(dd fs.Ino, dst string) error { return errno(s.fs.Rename(bg, sd, src, dd, dst, fl)) })
	})
}

func toStat(a fs.Attr) Stat {
	types := map[namespace.Kind]Type{
		namespace.File: Regular, namespace.Dir: Dir, namespace.Symlink: Symlink, namespace.Fifo: Fifo,
	}
	t, ok := types[a.Kind]
	if !ok {
		t = Special
	}
	return Stat{
		Ino: uint64(a.Ino), Mode: a.Mode, Type: t, Nlink: a.Nlink, UID: a.UID, GID: a.GID, Size: a.Size, Blocks: int64(a.Blocks()),
		Atime: a.Atime, Mtime: a.Mtime, Ctime: a.Ctime,
	}
}

func (s *coreSys) Lstat(p string) (st Stat, err error) {
	err = s.walk(p, func(i fs.Ino, _ fs.Attr) error {
		a, err := s.fs.Getattr(bg, i)
		st = toStat(a)
		return errno(err)
	})
	return st, err
}

func (s *coreSys) set(p string, c fs.AttrChange) error {
	return s.walk(p, func(i fs.Ino, _ fs.Attr) error {
		_, err := s.fs.Setattr(bg, i, c)
		return errno(err)
	})
}

func (s *coreSys) Chmod(p string, mode uint32) error   { return s.set(p, fs.AttrChange{Mode: &mode}) }
func (s *coreSys) Truncate(p string, size int64) error { return s.set(p, fs.AttrChange{Size: &size}) }

func (s *coreSys) Chown(p string, uid, gid int) error { return s.set(p, owners(uid, gid)) }

// owners is a change of those that are not -1.
func owners(uid, gid int) (c fs.AttrChange) {
	if v := uint32(uid); uid >= 0 {
		c.UID = &v
	}
	if v := uint32(gid); gid >= 0 {
		c.GID = &v
	}
	return c
}

func (s *coreSys) Utimes(p string, atime, mtime int64) error {
	a, m := time.Unix(0, atime), time.Unix(0, mtime)
	return s.set(p, fs.AttrChange{Atime: &a, Mtime: &m})
}

func (s *coreSys) ReadDir(p string) (names []string, err error) {
	err = s.walk(p, func(i fs.Ino, _ fs.Attr) error {
		d, err := s.fs.Opendir(bg, i)
		if err != nil {
			return errno(err)
		}
		defer d.Close()
		for off, more := uint64(0), true; more; { // in small steps, as a kernel asks
			more = false
			n := 0
			err := d.Read(bg, off, func(e fs.Dirent) bool {
				if n++; n > 50 {
					return false
				}
				if off, more = e.Offset, true; e.Name != "." && e.Name != ".." {
					names = append(names, e.Name)
				}
				return true
			})
			if err != nil {
				return errno(err)
			}
		}
		return nil
	})
	return names, err
}

func (s *coreSys) SyncDir(p string) error {
	return s.walk(p, func(i fs.Ino, _ fs.Attr) error {
		d, err := s.fs.Opendir(bg, i)
		if err == nil {
			defer d.Close()
			err = d.Sync(bg)
		}
		return errno(err)
	})
}

func (s *coreSys) Setxattr(p, name string, v []byte, flag int) error {
	return s.walk(p, func(i fs.Ino, _ fs.Attr) error { return errno(s.fs.Setxattr(bg, i, name, v, xattrFlag(flag))) })
}

func xattrFlag(flag int) namespace.XattrFlag {
	return map[int]namespace.XattrFlag{0: namespace.XattrAny, XattrCreate: namespace.XattrCreate, XattrReplace: namespace.XattrReplace}[flag]
}

func (s *coreSys) Getxattr(p, name string) (v []byte, err error) {
	err = s.walk(p, func(i fs.Ino, _ fs.Attr) error {
		got, err := s.fs.Getxattr(bg, i, name)
		v = got
		return errno(err)
	})
	return v, err
}

func (s *coreSys) Listxattr(p string) (names []string, err error) {
	err = s.walk(p, func(i fs.Ino, _ fs.Attr) error {
		got, err := s.fs.Listxattr(bg, i)
		names = got
		return errno(err)
	})
	return names, err
}

func (s *coreSys) Removexattr(p, name string) error {
	return s.walk(p, func(i fs.Ino, _ fs.Attr) error { return errno(s.fs.Removexattr(bg, i, name)) })
}

func (s *coreSys) Statfs() (Space, error) {
	u := s.fs.Statfs(bg)
	return Space{Total: u.Total, Avail: u.Avail}, nil
}
