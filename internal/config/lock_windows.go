package config

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes a lock on a byte far behind the contents, so that the process id in the
// file stays readable, without waiting.
func tryLock(f *os.File) error {
	over := windows.Overlapped{Offset: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &over)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}
