package config

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes a lock on a byte far behind the contents, so that the process id in the
// file stays readable, without waiting; shared locks exclude only the other kind.
func tryLock(f *os.File, shared bool) error {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY | windows.LOCKFILE_EXCLUSIVE_LOCK)
	if shared {
		how = windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	over := windows.Overlapped{Offset: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &over)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}
