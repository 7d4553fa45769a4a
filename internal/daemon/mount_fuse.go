//go:build linux || darwin || freebsd

package daemon

import (
	"context"
	"log/slog"
	"os"
	"os/exec"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/fusefs"
)

func serve(ctx context.Context, path string, core *fs.FS, log *slog.Logger) (server, error) {
	return fusefs.Mount(ctx, path, core, fusefs.Options{Log: log, Helper: herald})
}

// herald is the command that has programs hear of what other devices change (package herald): this
// program again.
func herald() *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.Command(self, "herald")
}
