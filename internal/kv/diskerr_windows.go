package kv

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

const errNoSpace = windows.ERROR_DISK_FULL

func isNoSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func isLocked(no syscall.Errno) bool {
	return no == windows.ERROR_SHARING_VIOLATION || no == windows.ERROR_LOCK_VIOLATION
}
