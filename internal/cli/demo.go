package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

func (a *app) demoCmd() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: two devices on this machine",
		Long: `Run two devices on this machine, each with a home, a daemon and a mount of its own, in a
temporary folder. Put real files on one, open them on the other, and tell what happened.
Both mounts stay open to play with until Ctrl-C; then everything is removed.`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.demo(cmd.Context(), once)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end and remove everything at once, for scripts")
	return cmd
}

// demo runs the play and cleans up, whatever happens in between.
func (a *app) demo(ctx context.Context, once bool) (err error) {
	signal.Ignore(syscall.SIGPIPE) // `shelf demo | head` must clean up, too
	if r := a.Probe(); !r.Ready() {
		return controlapi.E(controlapi.KindMissing, r.Advice(), "this machine cannot mount yet")
	}
	exe := a.Executable
	if exe == "" {
		if exe, err = os.Executable(); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "shelf-demo-")
	if err != nil {
		return controlapi.E("error", "", "no temporary folder: %s", err)
	}
	d := &demo{app: a, exe: exe, dir: dir}
	d.laptop, d.desktop = d.newHome("laptop"), d.newHome("desktop")
	defer func() { err = errors.Join(err, d.cleanUp(context.WithoutCancel(ctx))) }()

	for _, h := range []*demoHome{d.laptop, d.desktop} {
		if err := h.fetchNothingAhead(); err != nil {
			return err
		}
	}
	res, err := d.play(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.showLogs()
		}
		return err
	}
	if a.json {
		if err := writeJSON(a.Stdout, res); err != nil {
			return err
		}
	}
	if once {
		return nil
	}
	d.invitePlay()
	<-ctx.Done() // Ctrl-C is how this ends, and no failure
	return nil
}

// demo is one performance.
type demo struct {
	*app
	exe     string
	dir     string // holds both homes and both mounts
	laptop  *demoHome
	desktop *demoHome
}

func (d *demo) newHome(name string) *demoHome {
	return &demoHome{
		demo:  d,
		Name:  name,
		Home:  filepath.Join(d.dir, name+".home"),
		Mount: filepath.Join(d.dir, name),
	}
}

// tell prints a line of the account, which with --json nobody reads.
func (d *demo) tell(format string, args ...any) {
	if !d.json {
		d.say(format, args...)
	}
}

// invitePlay says what a person can try, line by line or all of it pasted at once: a new file takes some
// milliseconds to the other device, and a shell is faster.
func (d *demo) invitePlay() {
	d.tell("\nBoth stay mounted. In another terminal:\n")
	d.tell("  ls -l %s", filepath.Join(d.desktop.Mount, "notes"))
	d.tell("  echo hello > %s", filepath.Join(d.laptop.Mount, "hello"))
	d.tell("  %s --home %s sync --wait", d.exe, d.laptop.Home)
	d.tell("  cat %s", filepath.Join(d.desktop.Mount, "hello"))
	d.tell("  %s --home %s ls -l", d.exe, d.desktop.Home)
	d.tell("  %s --home %s pin /photos", d.exe, d.desktop.Home)
	d.tell("\nCtrl-C ends both and removes everything.")
}

// showLogs tells the last words of both daemons, since the logs are removed with the rest.
func (d *demo) showLogs() {
	for _, h := range []*demoHome{d.laptop, d.desktop} {
		if words := tail(config.Home(h.Home).LogFile(), 0, 10); words != "" {
			d.note("The last lines of the log of %s:%s\n", h.Name, safeText(words))
		}
	}
}

// cleanUp ends both daemons, removes both mounts and the folder. It goes on as far as it
// can, and never deletes through a mount that is still there.
func (d *demo) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var errs []error
	for _, h := range []*demoHome{d.desktop, d.laptop} {
		_, err := h.run(ctx, nil, "down", "--force")
		if pid, locked := config.Home(h.Home).Locked(); locked && pid > 1 {
			_ = kill(pid)
			_ = config.Home(h.Home).WaitUnlocked(ctx)
		}
		if uerr := d.Unmount(ctx, h.Mount, true); uerr != nil {
			errs = append(errs, err, uerr)
		}
	}
	if len(errs) > 0 {
		return controlapi.E("error", "", "%s could not be unmounted, so %s is left behind: %s", d.laptop.Mount, d.dir, errors.Join(errs...))
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return controlapi.E("error", "", "%s is left behind: %s", d.dir, err)
	}
	d.tell("\nEverything is removed.")
	return nil
}
