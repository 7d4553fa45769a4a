package fs

import (
	"syscall"

	"github.com/shelffs/shelf/internal/errs"
)

// Errno is the one table from kinds of error to what a kernel hears; every adapter uses
// it. Nil is 0. An error of no kind is EIO.
func Errno(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	switch errs.KindOf(err) {
	case errs.NotExist:
		return syscall.ENOENT
	case errs.Exist:
		return syscall.EEXIST
	case errs.Permission, errs.Withheld:
		// Withheld: read(2) has no other EACCES, as modes are looked at when a file is opened, and every
		// program that goes through many files tells it and takes the next one.
		return syscall.EACCES
	case errs.Forbidden, errs.Refused:
		return syscall.EPERM
	case errs.Invalid:
		return syscall.EINVAL
	case errs.NotDir:
		return syscall.ENOTDIR
	case errs.IsDir:
		return syscall.EISDIR
	case errs.NotEmpty:
		return syscall.ENOTEMPTY
	case errs.NameTooLong:
		return syscall.ENAMETOOLONG
	case errs.NoSpace:
		return syscall.ENOSPC
	case errs.TooLarge:
		return syscall.EFBIG
	case errs.ReadOnly:
		return syscall.EROFS
	case errs.Busy:
		return syscall.EBUSY
	case errs.Closed:
		return syscall.ENXIO
	case errs.Interrupted:
		return syscall.EINTR
	case errs.Timeout:
		return syscall.ETIMEDOUT
	case errs.Offline:
		return syscall.EHOSTDOWN
	case errs.Unsupported:
		return syscall.EOPNOTSUPP
	case errs.NoAttr:
		return errnoNoAttr
	case errs.Range:
		return syscall.ERANGE
	case errs.Loop:
		return syscall.EINVAL // a directory into itself: rename(2)
	case errs.Stale:
		return syscall.ESTALE
	case errs.Exhausted:
		return syscall.EAGAIN
	case errs.TooManyLink:
		return syscall.EMLINK
	}
	return syscall.EIO // Corrupt, Protocol, Other
}
