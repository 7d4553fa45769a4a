package mounthelper

import (
	"context"
	"os"

	"github.com/shelffs/shelf/internal/errs"
)

// Look says what lies at p. WinFsp removes its mounts when their process ends, so there
// is nothing stale here.
func Look(_ context.Context, p string) (State, error) {
	fi, err := os.Lstat(p)
	if err == nil && fi.Mode()&os.ModeIrregular != 0 {
		return Other, nil
	}
	return Free, nil
}

// Unmount is not needed on Windows: a mount ends with the process that serves it.
func Unmount(context.Context, string, bool) error {
	return errs.E("mounthelper.Unmount", errs.Unsupported, "", nil)
}

// Holders cannot be told on Windows without privileges.
func Holders(string) []Holder { return nil }

func servedBySomebody(string) bool { return true }
