package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// Device is an open home without a control socket and without a mount: Run puts these around
// it, and tests with many devices in one process use it as it is.
type Device interface {
	control.Daemon
	FS() *fs.FS
	Close() error
}

// Open opens the home named in s, whose lock the caller holds, over the given network.
func Open(ctx context.Context, s config.Start, log *slog.Logger, via Via) (Device, error) {
	p, _, err := openParts(ctx, s, log, func(controlapi.StartEvent) {}, via)
	if err != nil {
		return nil, err
	}
	return newDaemon(p, s, time.Now()), nil
}

func newDaemon(p *parts, s config.Start, began time.Time) *daemon {
	d := &daemon{parts: p, start: s, began: began, stopped: make(chan struct{})}
	d.mounts.d, d.invites.d = d, d
	d.invites.resume()
	d.background(d.watchConflicts)
	return d
}

// FS implements Device.
func (d *daemon) FS() *fs.FS { return d.fs }

// Close implements Device.
func (d *daemon) Close() error { return d.shutdown() }
