package cli

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// asking makes a command of what asks the daemon: it connects first, and hangs up after. args are
// paths, if they are anything.
func (a *app) asking(do func(ctx context.Context, c *client.Client, st controlapi.Status, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, st, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer c.Close()
		return a.astray(do(cmd.Context(), c, st, args), args, st.Mount.Path)
	}
}

// connect finds the daemon of this home. It waits for one that is just starting, and not for
// ever; without one it is KindNotRunning. The caller closes the client.
func (a *app) connect(ctx context.Context) (*client.Client, controlapi.Status, error) {
	if err := a.homeIsFolder(); err != nil {
		return nil, controlapi.Status{}, err
	}
	limited, cancel := context.WithTimeout(ctx, a.AnswerWait)
	defer cancel()
	for {
		// The place of the socket may be told only once the daemon has begun.
		c := client.New(a.home.Socket())
		st, err := c.Status(limited)
		if err == nil {
			return c, st, nil
		}
		c.Close()
		if ctx.Err() != nil {
			return nil, st, ctx.Err()
		}
		if limited.Err() == nil && !isKind(err, controlapi.KindNotRunning) {
			return nil, st, err
		}
		pid, locked := a.home.Locked()
		if !locked {
			return nil, st, a.notRunning()
		}
		if pause(limited, 50*time.Millisecond) != nil && ctx.Err() == nil {
			return nil, st, controlapi.E("busy", "its log: "+a.home.LogFile()+"\nto end it: "+a.program()+" down --force",
				"the shelf daemon (process %d) does not answer", pid)
		}
	}
}

// homeIsFolder refuses a home that is something else; one that is not there yet is fine.
func (a *app) homeIsFolder() error {
	if fi, err := os.Stat(a.home.Dir()); err == nil && !fi.IsDir() {
		return controlapi.E("not_dir", "name another one with --home, or move this away", "the home %s is not a folder", a.home)
	}
	return nil
}

// homeError words an error about the home as a whole, and gives it a way out.
func (a *app) homeError(err error) error {
	if !errs.Is(err, errs.ReadOnly) {
		return err
	}
	return controlapi.E(controlapi.SlugOf(errs.ReadOnly), "mount it so that it can be written to (a disk with errors turns read-only by itself: see dmesg), or name another home with --home",
		"the disk of the home %s is read-only", a.home)
}

// notRunning words the absence of a daemon by what can be seen of its past.
func (a *app) notRunning() error {
	switch at := a.home.LastMounted(); {
	case at != "":
		return controlapi.E(controlapi.KindNotRunning, "this starts it again and mends the mount: "+a.program()+" up",
			"the shelf daemon ended without unmounting %s", at)
	case a.home.HasState():
		return controlapi.E(controlapi.KindNotRunning, "start it: "+a.program()+" up", "the shelf daemon is not running")
	}
	return controlapi.E(controlapi.KindNotRunning, "first device: "+a.program()+" up\nfurther devices: "+a.program()+" join TOKEN",
		"there is nothing in %s yet", a.home)
}

// pause sleeps, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
