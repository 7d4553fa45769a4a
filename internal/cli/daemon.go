package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// daemonCmd is what `shelf up` and `shelf join` start in the background. It reads a
// config.Start from standard input and tells StartEvents on an inherited descriptor.
func (a *app) daemonCmd() *cobra.Command {
	var fd int
	cmd := &cobra.Command{
		Use:    "daemon",
		Short:  "Serve a home (started by shelf up)",
		Hidden: true,
		Args:   argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			events := &eventWriter{w: inherited(fd)}
			log := newLog(a.Stderr)
			err := func() error {
				var s config.Start
				if err := controlapi.Decode(json.NewDecoder(io.LimitReader(a.Stdin, controlapi.MaxBody)), &s); err != nil {
					return errs.E("cli.daemon", errs.Invalid, "options on standard input", err)
				}
				return a.serve(cmd.Context(), s, log, events.emit)
			}()
			if err != nil {
				log.Error("the daemon ends", "err", err)
				events.emit(controlapi.ErrorEvent(err))
			}
			return err
		},
	}
	cmd.Flags().IntVar(&fd, "events-fd", -1, "descriptor for start events")
	return cmd
}

// serve runs the daemon in this process until ctx ends. It takes the home's lock; another
// daemon there is KindRunning.
func (a *app) serve(ctx context.Context, s config.Start, log *slog.Logger, emit func(controlapi.StartEvent)) error {
	hardenProcess()
	err := s.Home.Ensure()
	if err == nil {
		err = s.Home.Writable()
	}
	if err != nil {
		return a.homeError(err)
	}
	lock, err := s.Home.Lock()
	if errs.Is(err, errs.Busy) {
		return controlapi.E(controlapi.KindRunning, "see: "+a.program()+" status", "another shelf daemon uses %s", s.Home)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	err = a.RunDaemon(ctx, s, log, emit)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// newLog writes lines for shelf.log, or for a service manager. SHELF_LOG=debug tells more.
func newLog(w io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if os.Getenv("SHELF_LOG") == "debug" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// eventWriter sends events, one a line, until ready or error was told; then it closes.
type eventWriter struct {
	mu sync.Mutex
	w  io.WriteCloser // nil once closed, or when nobody listens
}

func (e *eventWriter) emit(ev controlapi.StartEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.w == nil {
		return
	}
	err := controlapi.Encode(json.NewEncoder(e.w), ev)
	if err != nil || ev.Ready != nil || ev.Error != nil {
		_ = e.w.Close()
		e.w = nil
	}
}

// inherited opens a descriptor that the starting process has left us.
func inherited(fd int) io.WriteCloser {
	if fd < 1 {
		return nil
	}
	f := os.NewFile(uintptr(fd), "events")
	if f == nil {
		return nil
	}
	return f
}
