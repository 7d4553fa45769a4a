//go:build !windows

package kv

import (
	"errors"
	"syscall"
)

const errNoSpace = syscall.ENOSPC

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isLocked(no syscall.Errno) bool { return no == syscall.EAGAIN || no == syscall.EACCES }
