package errs

import (
	"errors"
	"io/fs"
	"syscall"
)

// OS gives an error of the operating system its kind; an error that has one keeps it. Other:
// nil, and what means nothing in particular to us.
func OS(err error) Kind {
	if k := KindOf(err); k != Other || err == nil {
		return k
	}
	var no syscall.Errno
	if errors.As(err, &no) { // before the general ones: a full directory is also "exists" to Go
		if k := errnoKind(no); k != Other {
			return k
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return NotExist
	case errors.Is(err, fs.ErrPermission):
		return Permission
	case errors.Is(err, fs.ErrExist):
		return Exist
	}
	return Other
}

// FromOS is E with the kind that the operating system's error has.
func FromOS(op, subject string, err error) error { return E(op, OS(err), subject, err) }
