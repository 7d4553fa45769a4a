package mounthelper

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shelffs/shelf/internal/errs"
)

// Prepare makes dir ready to be mounted on and returns its clean absolute path, which
// is the one to give to the mount call. It creates dir (0700) if it is missing and
// mends a stale Shelf mount. It refuses, changing nothing:
//
//   - Busy: a Shelf daemon serves dir already, or another filesystem is mounted there
//   - NotDir: something else than a directory has that name
//   - NotEmpty: the directory has entries, which the mount would hide
//   - Permission: the directory belongs to somebody else
func Prepare(ctx context.Context, dir string) (string, error) {
	const op = "mounthelper.Prepare"
	abs, err := Clean(dir)
	if err != nil {
		return "", errs.E(op, errs.Invalid, dir, err)
	}
	st, err := Look(ctx, abs)
	if err != nil {
		return "", errs.E(op, errs.Other, abs, err)
	}
	switch st {
	case Live:
		return "", errs.E(op, errs.Busy, abs, errors.New("a Shelf mount is there already: `shelf down` ends it"))
	case Other:
		return "", errs.E(op, errs.Busy, abs, errors.New("another filesystem is mounted there: choose another folder"))
	case Hung, Stale:
		if st == Hung && servedBySomebody(abs) {
			return "", errs.E(op, errs.Busy, abs, errors.New("a Shelf mount is there and does not answer"))
		}
		if err := Unmount(ctx, abs, true); err != nil {
			return "", errs.E(op, errs.Other, abs, err)
		}
	}
	return abs, vacate(op, abs)
}

// Clean makes a mountpoint absolute and resolves symlinks in the path to it, but never
// looks at the mountpoint itself, which may not answer.
func Clean(dir string) (string, error) {
	if d, ok := drive(dir); ok {
		return d, nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil || isRoot(abs) {
		return abs, err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if errors.Is(err, fs.ErrNotExist) {
		return abs, nil // Prepare creates it
	}
	if err != nil {
		return "", err
	}
	return filepath.Join(parent, filepath.Base(abs)), nil
}

func isRoot(p string) bool { return filepath.Dir(p) == p }

// emptyDir leaves an empty directory at p that this user can mount on.
func emptyDir(op, p string) error {
	fi, err := os.Stat(p)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return errs.FromOS(op, p, err)
		}
		return nil
	}
	if err != nil {
		return errs.FromOS(op, p, err)
	}
	if !fi.IsDir() {
		return errs.E(op, errs.NotDir, p, nil)
	}
	f, err := os.Open(p)
	if err != nil {
		return errs.FromOS(op, p, err)
	}
	defer f.Close()
	if names, _ := f.Readdirnames(1); len(names) > 0 {
		return errs.E(op, errs.NotEmpty, p, errors.New("the mount would hide what is in there: move it away or choose another folder"))
	}
	return nil
}
