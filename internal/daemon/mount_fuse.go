//go:build linux || darwin || freebsd

package daemon

import (
	"context"
	"log/slog"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/fusefs"
)

func serve(ctx context.Context, path string, core *fs.FS, log *slog.Logger) (server, error) {
	return fusefs.Mount(ctx, path, core, fusefs.Options{Log: log})
}
