package kv

import (
	"syscall"

	"golang.org/x/sys/windows"
)

const errNoSpace = windows.ERROR_DISK_FULL

func isLocked(no syscall.Errno) bool {
	return no == windows.ERROR_SHARING_VIOLATION || no == windows.ERROR_LOCK_VIOLATION
}
