package cli

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// forceWait is how long --force waits for each gentler way before it takes the next.
const forceWait = 10 * time.Second

func (a *app) downCmd() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Flush, unmount and stop Shelf on this device",
		Long: `Make everything written durable, unmount, end the daemon, and return when it is gone.
While programs use the mount it says which ones, and changes nothing; --force unmounts
anyway. When nothing runs there is nothing to do, and that is no error.`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			pid, err := a.down(cmd.Context(), force)
			if err != nil {
				return err
			}
			return a.emit(map[string]any{"stopped": pid != 0, "pid": pid}, func() {
				if pid == 0 {
					a.say("Nothing is running.")
					return
				}
				a.say("Shelf is down.")
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "unmount even while programs use it, and end a daemon that does not answer")
	return cmd
}

// down ends the daemon and returns its process id, 0 when there was none.
func (a *app) down(ctx context.Context, force bool) (int, error) {
	c, st, err := a.connect(ctx)
	switch {
	case isKind(err, controlapi.KindNotRunning):
		return 0, a.cleanUp(ctx)
	case err != nil && force:
		return a.endHard(ctx, err)
	case err != nil:
		return 0, err
	}
	defer c.Close()
	// Whoever runs this inside the mount must not be told that this program uses it.
	_ = os.Chdir(filepath.VolumeName(a.home.Dir()) + string(filepath.Separator))
	stop, cancel := ctx, context.CancelFunc(func() {})
	if force { // otherwise flushing may take as long as it takes
		stop, cancel = context.WithTimeout(ctx, forceWait)
	}
	defer cancel()
	if err := c.Stop(stop, controlapi.StopRequest{Force: force}); err != nil {
		if force && ctx.Err() == nil {
			return a.endHard(ctx, err)
		}
		return 0, err
	}
	limit := stopWait
	if force {
		limit = forceWait
	}
	wait, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = a.home.WaitUnlocked(wait)
	if err != nil && force && ctx.Err() == nil {
		return a.endHard(ctx, err)
	}
	return st.Daemon.PID, err
}

// endHard ends a daemon that does not do so when asked, and removes its mount.
func (a *app) endHard(ctx context.Context, why error) (int, error) {
	pid, locked := a.home.Locked()
	if !locked {
		return 0, a.cleanUp(ctx)
	}
	if pid <= 1 || pid == os.Getpid() {
		return 0, why
	}
	for _, end := range []func(int) error{terminate, kill} {
		if err := end(pid); err != nil {
			return 0, controlapi.E("permission", "", "process %d cannot be ended: %s", pid, err)
		}
		wait, cancel := context.WithTimeout(ctx, forceWait)
		err := a.home.WaitUnlocked(wait)
		cancel()
		if err == nil {
			return pid, a.cleanUp(ctx)
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	return 0, controlapi.E("busy", "", "process %d does not end", pid)
}

// cleanUp removes what a crashed daemon has left mounted.
func (a *app) cleanUp(ctx context.Context) error {
	at := a.home.LastMounted()
	if at == "" {
		return nil
	}
	if err := a.Unmount(ctx, at, true); err != nil {
		return err
	}
	return a.home.ClearMounted()
}
