//go:build !windows

package errs

import "syscall"

func errnoKind(no syscall.Errno) Kind {
	switch no {
	case syscall.ENOSPC, syscall.EDQUOT:
		return NoSpace
	case syscall.ENOTDIR:
		return NotDir
	case syscall.EISDIR:
		return IsDir
	case syscall.ENOTEMPTY:
		return NotEmpty
	case syscall.ENAMETOOLONG:
		return NameTooLong
	case syscall.EROFS:
		return ReadOnly
	case syscall.EBUSY:
		return Busy
	}
	return Other
}
