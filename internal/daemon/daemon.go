// Package daemon puts the parts of Shelf together: it is the only package that knows them all.
//
// Run opens one home, serves the control API, mounts, keeps in step with the other devices,
// and takes everything down again in an order that loses nothing.
package daemon

import (
	"context"
	"errors"
	stdlog "log"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/gc"
	"github.com/shelffs/shelf/mounthelper"
	"github.com/shelffs/shelf/mounthelper/probe"
)

// stopTime bounds the end: flushing, unmounting, saying goodbye.
const stopTime = 60 * time.Second

// daemon is one running home. It implements control.Daemon.
type daemon struct {
	*parts
	start   config.Start
	began   time.Time
	mounts  mounts
	invites invites

	stopOnce sync.Once
	stopped  chan struct{} // closed when the control API asked to stop
}

var _ control.Daemon = (*daemon)(nil)

// Run is the daemon of one home, whose lock the caller holds. It tells emit what happens, and
// "ready" when it serves; it returns nil after an orderly end by ctx or the control API.
func Run(ctx context.Context, s config.Start, log *slog.Logger, emit func(controlapi.StartEvent)) error {
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer()) // a library of libp2p's talks there
	stdlog.SetFlags(0)
	gc.Tune()
	return run(ctx, s, log, emit, libp2p{})
}

// run is Run over the given network.
func run(ctx context.Context, s config.Start, log *slog.Logger, emit func(controlapi.StartEvent), via Via) (err error) {
	began := time.Now()
	if s.Mountpoint != "" { // before an account is made for nothing
		if r := probe.Run(); !r.Ready() {
			return controlapi.E(controlapi.KindMissing, "see: shelf doctor; or without it: shelf up --via webdav", "%s", r.Advice())
		}
		if s.AllowOther {
			if err := canShare(); err != nil {
				return err
			}
		}
		if s.Mountpoint, err = mounthelper.Prepare(ctx, s.Mountpoint); err != nil {
			return err
		}
	}
	emit(controlapi.ProgressEvent(controlapi.StartProgress{Stage: controlapi.StageUnlock}))
	p, made, err := openParts(ctx, s, log, emit, via)
	if err != nil {
		return err
	}
	d := newDaemon(p, s, began)
	defer func() { err = errors.Join(err, d.shutdown()) }()

	if made.joined {
		if err := d.awaitNamespace(ctx, emit); err != nil {
			return err
		}
	}
	if s.Via == config.ViaWebDAV {
		if _, err := d.Mount(ctx, controlapi.MountRequest{Via: s.Via}); err != nil {
			return err
		}
	}
	if s.Mountpoint != "" {
		emit(controlapi.ProgressEvent(controlapi.StartProgress{Stage: controlapi.StageMount}))
		if _, err := d.Mount(ctx, controlapi.MountRequest{Path: s.Mountpoint, AllowOther: s.AllowOther}); err != nil {
			return err
		}
	}
	ln, err := listen(s.Home, log)
	if err != nil {
		return err
	}
	serveCtx, endServe := context.WithCancel(context.WithoutCancel(ctx))
	served, ended := error(nil), make(chan struct{})
	go func() {
		defer close(ended)
		served = control.Serve(serveCtx, ln, d, log)
	}()
	defer func() { // before the parts close: no request may meet closed ones
		endServe()
		<-ended
	}()

	emit(controlapi.ReadyEvent(d.ready(made)))
	select {
	case <-ctx.Done():
		log.Info("asked to end")
	case <-d.stopped:
		log.Info("stopped by the control API")
	case err := <-d.failed:
		log.Error("a part failed", "err", err)
		return err
	case <-ended:
	}
	endServe()
	<-ended
	return served
}

func listen(h config.Home, log *slog.Logger) (net.Listener, error) {
	path, err := h.MakeSocketPath()
	if err != nil {
		return nil, err
	}
	return control.Listen(path, log)
}

// shutdown takes everything down; what is unsaved is saved first.
func (d *daemon) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := d.mounts.unmount(ctx, true)
	return errors.Join(err, d.parts.close(ctx))
}

func (d *daemon) ready(made made) controlapi.Ready {
	st, _ := d.Status(context.Background())
	return controlapi.Ready{PID: os.Getpid(), Created: made.created, Joined: made.joined, Device: st.Device,
		Mount: st.Mount, Files: st.Files, Bytes: st.Bytes, Coming: st.Coming, Warnings: st.Warnings}
}

// Stop implements control.Stopper.
func (d *daemon) Stop(ctx context.Context, req controlapi.StopRequest) error {
	// Before the mount goes: what cannot be saved can still be copied elsewhere, or room be made.
	if err := d.fs.Sync(ctx); err != nil && !req.Force {
		return unsaved(err)
	}
	if err := d.mounts.unmount(ctx, req.Force); err != nil {
		return err
	}
	if err := d.fs.Sync(ctx); err != nil && !req.Force {
		return unsaved(err)
	}
	d.stopOnce.Do(func() { close(d.stopped) })
	return nil
}

// unsaved gives the error of an end that would lose something a way out.
func unsaved(err error) error {
	hint := "try again; what is not saved yet is lost with: shelf down --force"
	if errs.Is(err, errs.NoSpace) {
		hint = "make room on the disk, then again: shelf down (what is not saved yet is lost with --force)"
	}
	return controlapi.WithHint(err, hint)
}

// awaitNamespace returns when the inviting device has told everything it knew, or after a
// while: the rest then comes in the background.
func (d *daemon) awaitNamespace(ctx context.Context, emit func(controlapi.StartEvent)) error {
	const patience = 60 * time.Second
	limit := time.After(patience)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		emit(controlapi.ProgressEvent(controlapi.StartProgress{Stage: controlapi.StageNamespace, Files: int64(d.names.Stat().Files)}))
		select {
		case <-d.replicator.Completed():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-limit: // Ready says that names are still coming
			return nil
		case <-tick.C:
		}
	}
}
