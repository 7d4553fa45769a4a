// Package cli is the command line: one file per command, each a client of the control API.
// It holds no state and decides nothing that the daemon could decide. What scripts may
// rely on is written in cmd/shelf/CONTRACT.md and tested here.
package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/mounthelper"
	"github.com/shelffs/shelf/mounthelper/probe"
)

// RunDaemon is the daemon: it opens the home named in s, whose lock the caller holds, serves
// the control API on the home's socket, mounts where s says so, and tells emit what happens,
// the last event being "ready". It returns nil when ctx has ended or the control API has
// asked it to stop, flushed and unmounted; and an error when it could not begin or go on
// (it need not emit that one). emit may be called from any goroutine and never blocks long.
type RunDaemon func(ctx context.Context, s config.Start, log *slog.Logger, emit func(controlapi.StartEvent)) error

// ServeRelay runs a relay until ctx ends, and calls ready once with the addresses that devices use it by.
type ServeRelay func(ctx context.Context, c config.Relay, log *slog.Logger, ready func(addrs []string)) error

// Deps is what main passes in. Version and RunDaemon are needed; tests replace the others.
type Deps struct {
	Version   string
	RunDaemon RunDaemon
	// ServeRelay is the relay (daemon.ServeRelay).
	ServeRelay ServeRelay
	// Probe looks for what mounting needs on this machine (probe.Run).
	Probe func() probe.Report
	// Unmount removes a mount that a crashed daemon has left behind, and does nothing when
	// there is none (mounthelper.Unmount).
	Unmount func(ctx context.Context, path string, lazy bool) error
	// Examine looks at what is in a home: key, store, cache, room (daemon.Examine). It need not be given: then
	// doctor is silent about that.
	Examine func(context.Context, config.Home) []probe.Finding
	// Executable is the program that is started as the daemon (this one).
	Executable string
	// AnswerWait is how long a daemon that holds the home may take to answer (10 s).
	AnswerWait time.Duration

	Stdin  io.Reader // the process's own, as for the others
	Stdout io.Writer
	Stderr io.Writer
}

// withDefaults fills in what was not given.
func (d Deps) withDefaults() Deps {
	if d.Probe == nil {
		d.Probe = probe.Run
	}
	if d.Unmount == nil {
		d.Unmount = mounthelper.Unmount
	}
	if d.Examine == nil {
		d.Examine = func(context.Context, config.Home) []probe.Finding { return nil }
	}
	if d.AnswerWait == 0 {
		d.AnswerWait = 10 * time.Second
	}
	if d.Stdin == nil {
		d.Stdin = os.Stdin
	}
	if d.Stdout == nil {
		d.Stdout = os.Stdout
	}
	if d.Stderr == nil {
		d.Stderr = os.Stderr
	}
	return d
}
