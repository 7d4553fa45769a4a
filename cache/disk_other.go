//go:build !linux

package cache

import (
	"errors"
	"io/fs"
	"os"
)

func datasync(f *os.File) error { return f.Sync() }

// punch is left out: sparse segments are copied together instead.
func punch(*os.File, int64, int64) error { return errPunch{} }

func writeBoth(*os.File, []byte, []byte, int64, bool) error { return errors.ErrUnsupported }

func nextData(_ *os.File, off int64) int64 { return off }

func soon(*os.File, int64, int64) {}

func allocated(st fs.FileInfo) int64 { return st.Size() }
