package winfs

import (
	"context"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/handles"
	"github.com/shelffs/shelf/fs/paths"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Volume is an fs.FS as WinFsp and libfuse ask for it: by paths, and by numbers of handles, of
// which 0 and NoHandle are none.
type Volume struct {
	fs    *fs.FS
	files handles.Table[*fs.Handle]
	dirs  handles.Table[*fs.Dir]
}

// NoHandle is given where a caller has no handle.
const NoHandle = ^uint64(0)

// New makes a Volume of core.
func New(core *fs.FS) *Volume { return &Volume{fs: core} }

// ctx never ends: neither driver tells when a caller is interrupted. What waits for other devices
// has deadlines of its own.
var ctx = context.Background()

// Close ends the handles that are left.
func (v *Volume) Close() {
	v.files.Drain(func(h *fs.Handle) { h.Close() })
	v.dirs.Drain(func(d *fs.Dir) { d.Close() })
}

// at calls fn with the inode of an open file, or else of a path.
func (v *Volume) at(path string, fh uint64, fn func(fs.Ino) error) error {
	if h, ok := v.files.Get(fh); ok {
		return fn(h.Ino())
	}
	return paths.Walk(ctx, v.fs, path, func(i fs.Ino, _ fs.Attr) error { return fn(i) })
}

func (v *Volume) file(fh uint64) (*fs.Handle, error) {
	if h, ok := v.files.Get(fh); ok {
		return h, nil
	}
	return nil, errs.E("winfs", errs.Stale, "", nil)
}

// Getattr tells about a file.
func (v *Volume) Getattr(path string, fh uint64) (a fs.Attr, err error) {
	err = v.at(path, fh, func(i fs.Ino) (err error) {
		a, err = v.fs.Getattr(ctx, i)
		return err
	})
	return a, err
}

// Setattr changes what c says.
func (v *Volume) Setattr(path string, fh uint64, c fs.AttrChange) error {
	return v.at(path, fh, func(i fs.Ino) error {
		_, err := v.fs.Setattr(ctx, i, c)
		return err
	})
}

// Mknod makes a node of any kind.
func (v *Volume) Mknod(who fs.Caller, path string, s namespace.Spec) error {
	return paths.In(ctx, v.fs, path, func(dir fs.Ino, name string) error {
		a, err := v.fs.Mknod(ctx, who, dir, name, s)
		if err == nil {
			v.fs.Forget(a.Ino, 1)
		}
		return err
	})
}

// Link gives a file a further name.
func (v *Volume) Link(old, path string) error {
	return v.at(old, NoHandle, func(i fs.Ino) error {
		return paths.In(ctx, v.fs, path, func(dir fs.Ino, name string) error {
			a, err := v.fs.Link(ctx, i, dir, name)
			if err == nil {
				v.fs.Forget(a.Ino, 1)
			}
			return err
		})
	})
}

// Readlink tells where a symlink leads.
func (v *Volume) Readlink(path string) (target string, err error) {
	err = v.at(path, NoHandle, func(i fs.Ino) (err error) {
		target, err = v.fs.Readlink(ctx, i)
		return err
	})
	return target, err
}

// Remove removes a name, of a directory or of anything else.
func (v *Volume) Remove(path string, dir bool) error {
	return paths.In(ctx, v.fs, path, func(d fs.Ino, name string) error {
		if dir {
			return v.fs.Rmdir(ctx, d, name)
		}
		return v.fs.Unlink(ctx, d, name)
	})
}

// Rename moves a name, over what is there: WinFsp asks before whether it may.
func (v *Volume) Rename(from, to string) error {
	return paths.In(ctx, v.fs, from, func(sd fs.Ino, src string) error {
		return paths.In(ctx, v.fs, to, func(dd fs.Ino, dst string) error {
			return v.fs.Rename(ctx, sd, src, dd, dst, namespace.RenameReplace)
		})
	})
}

// Open opens a file.
func (v *Volume) Open(path string, fl fs.OpenFlags) (fh uint64, err error) {
	err = v.at(path, NoHandle, func(i fs.Ino) error {
		h, err := v.fs.Open(ctx, i, fl)
		if err == nil {
			fh = v.files.Put(h)
		}
		return err
	})
	return fh, err
}

// Create makes a file and opens it, or, without exclusive, opens the one that is there.
func (v *Volume) Create(who fs.Caller, path string, mode uint32, fl fs.OpenFlags, exclusive bool) (fh uint64, err error) {
	err = paths.In(ctx, v.fs, path, func(dir fs.Ino, name string) error {
		a, h, err := v.fs.Create(ctx, who, dir, name, mode, fl, exclusive)
		if err == nil {
			v.fs.Forget(a.Ino, 1) // the handle keeps it
			fh = v.files.Put(h)
		}
		return err
	})
	return fh, err
}

// Read reads up to len(p) bytes, fewer only at the end.
func (v *Volume) Read(fh uint64, p []byte, off int64) (int, error) {
	h, err := v.file(fh)
	if err != nil {
		return 0, err
	}
	return h.Read(fs.WithReader(ctx, fs.Reader{}), off, p)
}

// Write writes all of p.
func (v *Volume) Write(fh uint64, p []byte, off int64) (int, error) {
	h, err := v.file(fh)
	if err != nil {
		return 0, err
	}
	return h.WriteAt(ctx, off, p, fs.WriteFlags{})
}

// Flush is what closing a file waits for.
func (v *Volume) Flush(fh uint64) error {
	h, err := v.file(fh)
	if err != nil {
		return err
	}
	return h.Flush(ctx)
}

// Fsync makes a file durable.
func (v *Volume) Fsync(fh uint64) error {
	h, err := v.file(fh)
	if err != nil {
		return err
	}
	return h.Sync(ctx)
}

// Release ends a handle.
func (v *Volume) Release(fh uint64) {
	if h, ok := v.files.Take(fh); ok {
		h.Close()
	}
}

// Opendir opens a directory.
func (v *Volume) Opendir(path string) (fh uint64, err error) {
	err = v.at(path, NoHandle, func(i fs.Ino) error {
		d, err := v.fs.Opendir(ctx, i)
		if err == nil {
			fh = v.dirs.Put(d)
		}
		return err
	})
	return fh, err
}

// Readdir calls fn with the entries after an offset, "." and ".." included, until it returns false;
// a is nil where only the name is known.
func (v *Volume) Readdir(fh uint64, off uint64, fn func(e fs.Dirent, a *fs.Attr) bool) error {
	d, ok := v.dirs.Get(fh)
	if !ok {
		return errs.E("winfs", errs.Stale, "", nil)
	}
	return d.Read(ctx, off, func(e fs.Dirent) bool {
		if e.Entry == nil {
			return fn(e, nil)
		}
		a, ok := d.Mention(e)
		if !ok {
			return fn(e, nil)
		}
		defer v.fs.Forget(a.Ino, 1)
		return fn(e, &a.Attr)
	})
}

// Fsyncdir makes what was done in a directory durable.
func (v *Volume) Fsyncdir(fh uint64) error {
	d, ok := v.dirs.Get(fh)
	if !ok {
		return errs.E("winfs", errs.Stale, "", nil)
	}
	return d.Sync(ctx)
}

// Releasedir ends a handle of a directory.
func (v *Volume) Releasedir(fh uint64) {
	if d, ok := v.dirs.Take(fh); ok {
		d.Close()
	}
}

// Setxattr sets an extended attribute.
func (v *Volume) Setxattr(path, name string, value []byte, fl namespace.XattrFlag) error {
	return v.at(path, NoHandle, func(i fs.Ino) error { return v.fs.Setxattr(ctx, i, name, value, fl) })
}

// Getxattr returns an extended attribute.
func (v *Volume) Getxattr(path, name string) (value []byte, err error) {
	err = v.at(path, NoHandle, func(i fs.Ino) (err error) {
		value, err = v.fs.Getxattr(ctx, i, name)
		return err
	})
	return value, err
}

// Listxattr lists the names of extended attributes.
func (v *Volume) Listxattr(path string) (names []string, err error) {
	err = v.at(path, NoHandle, func(i fs.Ino) (err error) {
		names, err = v.fs.Listxattr(ctx, i)
		return err
	})
	return names, err
}

// Removexattr removes an extended attribute.
func (v *Volume) Removexattr(path, name string) error {
	return v.at(path, NoHandle, func(i fs.Ino) error { return v.fs.Removexattr(ctx, i, name) })
}

// Statfs tells the space.
func (v *Volume) Statfs() fs.Usage { return v.fs.Statfs(ctx) }
