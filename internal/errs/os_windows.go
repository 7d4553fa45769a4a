package errs

import (
	"syscall"

	"golang.org/x/sys/windows"
)

func errnoKind(no syscall.Errno) Kind {
	switch no {
	case windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED:
		return NoSpace
	case windows.ERROR_DIRECTORY:
		return NotDir
	case windows.ERROR_DIR_NOT_EMPTY:
		return NotEmpty
	case windows.ERROR_FILENAME_EXCED_RANGE:
		return NameTooLong
	case windows.ERROR_WRITE_PROTECT:
		return ReadOnly
	case windows.ERROR_BUSY, windows.ERROR_SHARING_VIOLATION, windows.ERROR_LOCK_VIOLATION:
		return Busy
	}
	return Other
}
