//go:build !linux && !darwin && !freebsd

package daemon

import (
	"context"
	"log/slog"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

// serve has no adapter here yet: the namespace syncs, and is not shown as a folder.
func serve(context.Context, string, *fs.FS, *slog.Logger) (server, error) {
	return nil, errs.E("daemon.mount", errs.Unsupported, "mounting on this system", nil)
}
