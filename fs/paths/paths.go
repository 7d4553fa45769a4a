// Package paths looks an fs.FS up by paths, for those who are not a kernel that remembers inodes.
package paths

import (
	"context"
	"path"
	"strings"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Clean is the path from the root of the share that p means: absolute, without dots.
func Clean(p string) string { return path.Clean("/" + p) }

// Walk looks a path up, name by name, and calls fn with the inode, which is known as long as that
// lasts. Symlinks are not followed. NotExist, NotDir.
func Walk(ctx context.Context, core *fs.FS, p string, fn func(fs.Ino, fs.Attr) error) error {
	at := fs.RootIno
	a, err := core.Getattr(ctx, at)
	if err != nil {
		return err
	}
	for _, name := range strings.FieldsFunc(Clean(p), func(r rune) bool { return r == '/' }) {
		if a.Kind != namespace.Dir {
			return errs.E("paths.Walk", errs.NotDir, "", nil)
		}
		x, err := core.Lookup(ctx, at, name)
		if err != nil {
			return err
		}
		defer core.Forget(x.Ino, 1)
		at, a = x.Ino, x.Attr
	}
	return fn(at, a)
}

// In is Walk to the directory of p, whose last name fn is given, too. Busy: p is the root.
func In(ctx context.Context, core *fs.FS, p string, fn func(dir fs.Ino, name string) error) error {
	p = Clean(p)
	if p == "/" {
		return errs.E("paths.In", errs.Busy, "the root", nil)
	}
	return Walk(ctx, core, path.Dir(p), func(i fs.Ino, a fs.Attr) error {
		if a.Kind != namespace.Dir {
			return errs.E("paths.In", errs.NotDir, "", nil)
		}
		return fn(i, path.Base(p))
	})
}
