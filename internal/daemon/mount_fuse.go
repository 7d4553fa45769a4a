//go:build linux || darwin || freebsd

package daemon

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"runtime"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/fusefs"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/mounthelper/probe"
)

func serve(ctx context.Context, path string, core *fs.FS, allowOther bool, log *slog.Logger) (server, error) {
	return fusefs.Mount(ctx, path, core, fusefs.Options{Log: log, AllowOther: allowOther, Helper: herald})
}

// canShare says what is missing for other users to be let into a mount; nil: nothing.
func canShare() error {
	if runtime.GOOS != "linux" || probe.Run().AllowOther() {
		return nil
	}
	return controlapi.E(controlapi.KindMissing, "to allow it: echo user_allow_other | sudo tee -a /etc/fuse.conf; or leave --allow-other (allow_other) out",
		"/etc/fuse.conf does not say user_allow_other, so that only root may let other users into a mount")
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
