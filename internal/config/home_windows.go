package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func ownedByUs(fs.FileInfo) bool { return true }

// socketDirs are short folders for the control sockets of homes with long paths.
func socketDirs() []string { return []string{filepath.Join(os.TempDir(), "shelf")} }

func isNoSpace(err error) bool { return errors.Is(err, windows.ERROR_DISK_FULL) }
func isNotDir(err error) bool  { return errors.Is(err, windows.ERROR_DIRECTORY) }
