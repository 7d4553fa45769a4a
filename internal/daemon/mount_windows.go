package daemon

import (
	"context"
	"log/slog"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/winfs"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func serve(ctx context.Context, path string, core *fs.FS, _ bool, _ *slog.Logger) (server, error) {
	return winfs.Mount(ctx, path, core, winfs.Options{FoldsCase: !core.KeepsMissing()})
}

func canShare() error {
	return controlapi.E("unsupported", "", "on Windows --allow-other (allow_other) means nothing")
}
