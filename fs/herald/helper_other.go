//go:build !linux

package herald

import (
	"io"

	"github.com/shelffs/shelf/internal/errs"
)

// Help is for Linux. Unsupported.
func Help(io.Reader, io.Writer) error {
	return errs.E("herald.Help", errs.Unsupported, "this system", nil)
}
