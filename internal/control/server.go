// Package control is the daemon's side of the local API: HTTP with JSON bodies over a unix
// socket that only the owner can reach. It decides nothing; every request becomes one call
// of the Daemon interface.
package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

// graceful is how long answers under way may take after the daemon decided to end.
const graceful = 3 * time.Second

// Serve answers on ln until ctx ends, then finishes the answers that are under way. Requests
// still running after a few seconds have their contexts cancelled. It closes ln.
func Serve(ctx context.Context, ln net.Listener, d Daemon, log *slog.Logger) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           Handler(d, log),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    controlapi.MaxHeader,
		BaseContext:       func(net.Listener) context.Context { return running },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	late, stop := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer stop()
	if err := srv.Shutdown(late); err != nil {
		cancel()
		_ = srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Handler is the API as an http.Handler. It trusts whoever reaches it: the listener decides
// who does.
func Handler(d Daemon, log *slog.Logger) http.Handler {
	h := &handler{d: d, log: log, asks: newAsks()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", get(h, func(r *http.Request) (any, error) { return d.Status(r.Context()) }))
	mux.HandleFunc("GET /v1/devices", get(h, func(r *http.Request) (any, error) { return d.Devices(r.Context()) }))
	mux.HandleFunc("GET /v1/peers", get(h, func(r *http.Request) (any, error) { return d.RankedPeers(r.Context()) }))
	mux.HandleFunc("GET /v1/recovery", get(h, func(r *http.Request) (any, error) { return d.Recovery(r.Context()) }))
	mux.HandleFunc("GET /v1/path", get(h, func(r *http.Request) (any, error) {
		return withPath(r, d.PathStatus)
	}))
	mux.HandleFunc("GET /v1/why", get(h, func(r *http.Request) (any, error) {
		return withPath(r, d.Why)
	}))
	mux.HandleFunc("GET /v1/conflicts", get(h, func(r *http.Request) (any, error) {
		return withPath(r, d.Conflicts)
	}))
	mux.HandleFunc("POST /v1/resolve", post(h, func(ctx context.Context, q controlapi.ResolveRequest) (any, error) {
		if err := checkPaths(q.Paths); err != nil {
			return nil, err
		}
		return d.Resolve(ctx, q)
	}))
	mux.HandleFunc("GET /v1/list", h.list)
	mux.HandleFunc("POST /v1/mount", post(h, func(ctx context.Context, q controlapi.MountRequest) (any, error) {
		return d.Mount(ctx, q)
	}))
	mux.HandleFunc("POST /v1/unmount", post(h, func(ctx context.Context, q controlapi.UnmountRequest) (any, error) {
		return empty{}, d.Unmount(ctx, q)
	}))
	mux.HandleFunc("POST /v1/stop", post(h, func(ctx context.Context, q controlapi.StopRequest) (any, error) {
		return empty{}, d.Stop(ctx, q)
	}))
	mux.HandleFunc("POST /v1/unpin", post(h, func(ctx context.Context, q controlapi.PlaceRequest) (any, error) {
		if err := checkPaths(q.Paths); err != nil {
			return nil, err
		}
		return d.Unpin(ctx, q)
	}))
	mux.HandleFunc("POST /v1/recovery/confirm", post(h, func(ctx context.Context, q controlapi.ConfirmRequest) (any, error) {
		return empty{}, d.ConfirmRecovery(ctx, q.Phrase)
	}))
	mux.HandleFunc("GET /v1/brake", get(h, func(r *http.Request) (any, error) { return d.Brake(r.Context()) }))
	mux.HandleFunc("POST /v1/brake/release", post(h, func(ctx context.Context, q controlapi.ReleaseRequest) (any, error) {
		return d.Release(ctx, q)
	}))
	mux.HandleFunc("GET /v1/quarantine", get(h, func(r *http.Request) (any, error) { return d.Quarantine(r.Context()) }))
	mux.HandleFunc("POST /v1/quarantine/release", post(h, func(ctx context.Context, q controlapi.ReleaseRequest) (any, error) {
		return d.Thaw(ctx, q)
	}))
	mux.HandleFunc("GET /v1/versions", get(h, func(r *http.Request) (any, error) { return withPath(r, d.Versions) }))
	mux.HandleFunc("GET /v1/removed", get(h, func(r *http.Request) (any, error) { return withPath(r, d.Removed) }))
	mux.HandleFunc("GET /v1/usage", h.usage())
	mux.HandleFunc("POST /v1/ledger", h.ledger())
	mux.HandleFunc("POST /v1/heat", h.heat())
	mux.HandleFunc("POST /v1/ledger/undo", post(h, func(ctx context.Context, q controlapi.UndoRunRequest) (any, error) {
		return d.UndoRun(ctx, q)
	}))
	mux.HandleFunc("GET /v1/limits", get(h, func(r *http.Request) (any, error) { return d.Limits(r.Context()) }))
	mux.HandleFunc("POST /v1/limits", post(h, func(ctx context.Context, l controlapi.Limits) (any, error) { return d.SetLimits(ctx, l) }))
	mux.HandleFunc("GET /v1/relays", get(h, func(r *http.Request) (any, error) { return d.Relays(r.Context()) }))
	mux.HandleFunc("POST /v1/relays/use", post(h, func(ctx context.Context, q controlapi.UseRelayRequest) (any, error) {
		return d.UseRelay(ctx, q)
	}))
	mux.HandleFunc("POST /v1/relays/leave", post(h, func(ctx context.Context, q controlapi.LeaveRelayRequest) (any, error) {
		return empty{}, d.LeaveRelay(ctx, q)
	}))
	mux.HandleFunc("POST /v1/restore", h.restore)
	mux.HandleFunc("POST /v1/undo", h.undo)
	mux.HandleFunc("POST /v1/pin", h.place(d.Pin))
	mux.HandleFunc("POST /v1/free", h.place(d.Free))
	mux.HandleFunc("POST /v1/sync", h.sync)
	mux.HandleFunc("POST /v1/offline", func(w http.ResponseWriter, r *http.Request) {
		tell(h, w, r, func(controlapi.OfflineRequest) error { return nil }, d.Offline)
	})
	mux.HandleFunc("POST /v1/invite", h.invite)
	mux.HandleFunc("POST /v1/invite/answer", post(h, func(_ context.Context, q controlapi.InviteAnswer) (any, error) {
		return empty{}, h.asks.answer(q)
	}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // what it is busy with: see README.md
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, controlapi.E("unsupported", "stop the daemon and start it again: shelf down && shelf up",
			"the running daemon does not know %s %s; it is of another version", r.Method, r.URL.Path))
	})
	return mux
}

type handler struct {
	d    Daemon
	log  *slog.Logger
	asks *asks
}

type empty struct{}
