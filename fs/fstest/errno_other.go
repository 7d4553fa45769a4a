//go:build !linux

package fstest

import (
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

var errNoAttr = fs.Errno(errs.E("", errs.NoAttr, "", nil))

// openDirectory has no name on Windows.
const openDirectory = 0x10000
