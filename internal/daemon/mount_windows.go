package daemon

import (
	"context"
	"log/slog"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/winfs"
)

func serve(ctx context.Context, path string, core *fs.FS, _ *slog.Logger) (server, error) {
	return winfs.Mount(ctx, path, core, winfs.Options{FoldsCase: !core.KeepsMissing()})
}
