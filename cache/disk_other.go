//go:build !linux

package cache

import (
	"io/fs"
	"os"
)

func datasync(f *os.File) error { return f.Sync() }

// punch is left out: sparse segments are copied together instead.
func punch(*os.File, int64, int64) error { return errPunch{} }

func allocated(st fs.FileInfo) int64 { return st.Size() }
