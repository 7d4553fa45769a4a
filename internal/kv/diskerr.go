package kv

import (
	"errors"
	"syscall"

	"github.com/shelffs/shelf/internal/errs"
)

// lockKind: without an errno in the chain the lock is held by this process; with one, the
// system says whether another has it.
func lockKind(err error) errs.Kind {
	var no syscall.Errno
	if !errors.As(err, &no) || isLocked(no) {
		return errs.Busy
	}
	return errs.OS(err)
}
