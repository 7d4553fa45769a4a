//go:build !cgofuse

package fstest

import (
	"context"
	"errors"

	"github.com/shelffs/shelf/fs"
)

// mountVolume needs cgo and libfuse: make conformance.
func mountVolume(context.Context, string, *fs.FS) (unmounter, error) {
	return nil, errors.New("built without the tag cgofuse")
}
