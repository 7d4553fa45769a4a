// Package cli is the command line: one file per command, each a client of the control API.
// It holds no state and decides nothing that the daemon could decide. What scripts may
// rely on is written in cmd/shelf/CONTRACT.md and tested here.
package cli

import (
	"context"
	"io"
	"log/slog"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// RunDaemon is the daemon: it opens the home named in s, whose lock the caller holds, serves
// the control API on the home's socket, mounts where s says so, and tells emit what happens,
// the last event being "ready". It returns nil when ctx has ended or the control API has
// asked it to stop, flushed and unmounted; and an error when it could not begin or go on
// (it need not emit that one). emit may be called from any goroutine and never blocks long.
type RunDaemon func(ctx context.Context, s config.Start, log *slog.Logger, emit func(controlapi.StartEvent)) error

// Finding is one thing that doctor looked at on this machine.
type Finding struct {
	Name   string `json:"name"`   // "FUSE mount helper"
	OK     bool   `json:"ok"`     // false: something is to be done
	Detail string `json:"detail"` // what was found, or what is missing
	Fix    string `json:"fix"`    // the command that mends it; "" when OK
}

// Deps is what the command line cannot do itself: main passes it in.
type Deps struct {
	Version   string
	RunDaemon RunDaemon
	// Probe looks for what mounting needs on this machine.
	Probe func(ctx context.Context) []Finding
	// Unmount removes a mount that a crashed daemon has left behind. It does nothing when
	// there is none.
	Unmount func(ctx context.Context, path string) error
	// Executable is the program that is started as the daemon; "" is this one.
	Executable string

	Stdin  io.Reader // nil is the process's own, as for the others
	Stdout io.Writer
	Stderr io.Writer
}
