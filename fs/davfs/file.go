package davfs

import (
	"context"
	"io"
	"os"
	"path"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/paths"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// file is an open file or directory, to be read. One goroutine uses it.
type file struct {
	t      *tree
	ctx    context.Context // of the request
	name   string          // absolute
	info   info
	h      *fs.Handle // nil: a directory
	at     int64
	listed bool
}

func (t *tree) open(ctx context.Context, name string) (f *file, err error) {
	err = t.find(ctx, name, func(i fs.Ino, a fs.Attr) (err error) {
		f = &file{t: t, ctx: ctx, name: paths.Clean(name), info: info{path.Base(paths.Clean(name)), a}}
		if a.Kind == namespace.File {
			f.h, err = t.fs.Open(ctx, i, fs.OpenFlags{Read: true})
		}
		return err
	})
	return f, err
}

// Read reads on.
func (f *file) Read(p []byte) (int, error) {
	if f.h == nil {
		return 0, told(f.ctx, "read", f.name, errs.E("davfs.Read", errs.IsDir, "", nil))
	}
	n, err := f.h.Read(f.ctx, f.at, p)
	f.at += int64(n)
	if err != nil {
		return n, told(f.ctx, "read", f.name, err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Seek moves to where the next Read begins.
func (f *file) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += f.at
	case io.SeekEnd:
		off += f.info.Size()
	}
	if off < 0 {
		return 0, os.ErrInvalid
	}
	f.at = off
	return off, nil
}

// Write is refused: files are replaced as a whole.
func (f *file) Write([]byte) (int, error) { return 0, os.ErrPermission }

// Stat tells what was there when the file was opened.
func (f *file) Stat() (os.FileInfo, error) { return f.info, nil }

// Readdir lists a directory, all of it at once, without what WebDAV cannot show.
func (f *file) Readdir(int) (out []os.FileInfo, err error) {
	if f.listed || f.h != nil {
		return nil, nil
	}
	f.listed = true
	err = f.t.walk(f.ctx, f.name, func(i fs.Ino, _ fs.Attr) error {
		d, err := f.t.fs.Opendir(f.ctx, i)
		if err != nil {
			return err
		}
		defer d.Close()
		var all []fs.Dirent
		err = d.Read(f.ctx, 0, func(e fs.Dirent) bool {
			if e.Name != "." && e.Name != ".." {
				all = append(all, e)
			}
			return true
		})
		for _, e := range all {
			if x, ok := f.shown(d, e); ok {
				out = append(out, x)
			}
		}
		return err
	})
	return out, told(f.ctx, "readdir", f.name, err)
}

// shown is how an entry of the directory shows, if it does.
func (f *file) shown(d *fs.Dir, e fs.Dirent) (info, bool) {
	x, ok := d.Mention(e)
	if !ok {
		return info{}, false
	}
	defer f.t.fs.Forget(x.Ino, 1)
	switch x.Kind {
	case namespace.File, namespace.Dir:
		return info{e.Name, x.Attr}, true
	case namespace.Symlink:
		at := info{name: e.Name}
		err := f.t.find(f.ctx, path.Join(f.name, e.Name), func(_ fs.Ino, a fs.Attr) error { at.attr = a; return nil })
		return at, err == nil
	}
	return info{}, false
}

// Close ends the use.
func (f *file) Close() error {
	if f.h != nil {
		f.h.Close()
	}
	return nil
}
