//go:build !windows

package kv

import "syscall"

const errNoSpace = syscall.ENOSPC

func isLocked(no syscall.Errno) bool { return no == syscall.EAGAIN || no == syscall.EACCES }
