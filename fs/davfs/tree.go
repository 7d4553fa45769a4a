package davfs

import (
	"context"
	"errors"
	"os"
	"path"

	"golang.org/x/net/webdav"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/paths"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Modes of what clients make: WebDAV has none.
const (
	fileMode = 0o644
	dirMode  = 0o755
)

// tree is an fs.FS as the library wants it: by paths. Its errors are those of package os.
type tree struct {
	fs  *fs.FS
	who fs.Caller
}

// walk is paths.Walk; a name below a file is not there, either.
func (t *tree) walk(ctx context.Context, name string, fn func(fs.Ino, fs.Attr) error) error {
	return missing(paths.Walk(ctx, t.fs, name, fn))
}

// in is paths.In.
func (t *tree) in(ctx context.Context, name string, fn func(dir fs.Ino, name string) error) error {
	return missing(paths.In(ctx, t.fs, name, fn))
}

// missing is what the library can tell of.
func missing(err error) error {
	if errs.Is(err, errs.NotDir) {
		return errs.E("davfs", errs.NotExist, "", err)
	}
	return err
}

// find is walk to what a client sees under the name: behind a symlink to a file, the file.
func (t *tree) find(ctx context.Context, name string, fn func(fs.Ino, fs.Attr) error) error {
	return t.follow(ctx, paths.Clean(name), 0, fn)
}

// maxLinks is how many symlinks may lead to a file, as on Linux.
const maxLinks = 40

func (t *tree) follow(ctx context.Context, name string, links int, fn func(fs.Ino, fs.Attr) error) error {
	return t.walk(ctx, name, func(i fs.Ino, a fs.Attr) error {
		switch a.Kind {
		case namespace.File:
			return fn(i, a)
		case namespace.Dir:
			if links == 0 {
				return fn(i, a)
			}
		case namespace.Symlink:
			target, err := t.fs.Readlink(ctx, i)
			if err != nil {
				return err
			}
			if links < maxLinks && !path.IsAbs(target) { // others lead out of the share
				return t.follow(ctx, path.Join(path.Dir(name), target), links+1, fn)
			}
		}
		return errs.E("davfs", errs.NotExist, "", nil)
	})
}

// told notes an error for the answer of the request, and gives it as the library understands it.
func told(ctx context.Context, op, name string, err error) error {
	if err == nil {
		return nil
	}
	requestOf(ctx).fail(err)
	return &os.PathError{Op: op, Path: name, Err: fs.Errno(err)}
}

// Mkdir makes a directory.
func (t *tree) Mkdir(ctx context.Context, name string, _ os.FileMode) error {
	err := t.in(ctx, name, func(dir fs.Ino, base string) error {
		x, err := t.fs.Mknod(ctx, t.who, dir, base, namespace.Spec{Kind: namespace.Dir, Mode: dirMode})
		if err == nil {
			t.fs.Forget(x.Ino, 1)
		}
		return err
	})
	return told(ctx, "mkdir", name, err)
}

// Stat tells what lies under a name.
func (t *tree) Stat(ctx context.Context, name string) (os.FileInfo, error) {
	var fi os.FileInfo
	err := t.find(ctx, name, func(_ fs.Ino, a fs.Attr) error {
		fi = info{path.Base(paths.Clean(name)), a}
		return nil
	})
	if err != nil {
		return nil, told(ctx, "stat", name, err)
	}
	return fi, nil
}

// OpenFile opens what lies under a name. With O_TRUNC it begins an upload.
func (t *tree) OpenFile(ctx context.Context, name string, flag int, _ os.FileMode) (webdav.File, error) {
	if flag&os.O_TRUNC != 0 {
		u, err := t.upload(ctx, name)
		if err != nil {
			return nil, told(ctx, "open", name, err)
		}
		return u, nil
	}
	f, err := t.open(ctx, name)
	if err != nil {
		return nil, told(ctx, "open", name, err)
	}
	return f, nil
}

// RemoveAll removes what lies under a name, and everything below. What a move or copy is about
// to replace stays until then.
func (t *tree) RemoveAll(ctx context.Context, name string) error {
	if requestOf(ctx).replaces(ctx, t, name) {
		return nil
	}
	err := t.in(ctx, name, func(dir fs.Ino, base string) error { return t.removeAll(ctx, dir, base) })
	if errs.Is(err, errs.NotExist) {
		return nil
	}
	return told(ctx, "remove", name, err)
}

func (t *tree) removeAll(ctx context.Context, dir fs.Ino, name string) error {
	err := t.fs.Unlink(ctx, dir, name)
	if !errs.Is(err, errs.IsDir) {
		return err
	}
	x, err := t.fs.Lookup(ctx, dir, name)
	if err != nil {
		return err
	}
	defer t.fs.Forget(x.Ino, 1)
	for {
		names, err := t.names(ctx, x.Ino)
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := t.removeAll(ctx, x.Ino, n); err != nil && !errs.Is(err, errs.NotExist) {
				return err
			}
		}
		err = t.fs.Rmdir(ctx, dir, name)
		if len(names) == 0 || !errs.Is(err, errs.NotEmpty) { // else something came meanwhile
			return err
		}
	}
}

// names lists a directory as it is.
func (t *tree) names(ctx context.Context, i fs.Ino) (out []string, err error) {
	d, err := t.fs.Opendir(ctx, i)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	err = d.Read(ctx, 0, func(e fs.Dirent) bool {
		if e.Name != "." && e.Name != ".." {
			out = append(out, e.Name)
		}
		return true
	})
	return out, err
}

// Rename moves a name, over what is there only if the request said so.
func (t *tree) Rename(ctx context.Context, from, to string) error {
	how := namespace.RenameNoReplace
	if requestOf(ctx).replaced(to) {
		how = namespace.RenameReplace
	}
	err := t.in(ctx, from, func(sd fs.Ino, src string) error {
		return t.in(ctx, to, func(dd fs.Ino, dst string) error { return t.fs.Rename(ctx, sd, src, dd, dst, how) })
	})
	if errs.Is(err, errs.NotExist) { // the library means something else by that
		err = errs.E("davfs.Rename", errs.NotDir, "", errors.New("the target's folder is not there"))
	}
	return told(ctx, "rename", to, err)
}
