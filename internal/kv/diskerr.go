package kv

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/shelffs/shelf/internal/errs"
)

// diskKind gives an error of the operating system its kind; an error that has one keeps it.
func diskKind(err error) errs.Kind {
	switch {
	case err == nil:
		return errs.Other
	case errs.KindOf(err) != errs.Other:
		return errs.KindOf(err)
	case isNoSpace(err):
		return errs.NoSpace
	case errors.Is(err, fs.ErrPermission):
		return errs.Permission
	case errors.Is(err, fs.ErrNotExist):
		return errs.NotExist
	case errors.Is(err, syscall.EROFS):
		return errs.ReadOnly
	}
	return errs.Other
}

// lockKind: without an errno in the chain the lock is held by this process; with one, the
// system says whether another has it.
func lockKind(err error) errs.Kind {
	var no syscall.Errno
	if !errors.As(err, &no) || isLocked(no) {
		return errs.Busy
	}
	return diskKind(err)
}
