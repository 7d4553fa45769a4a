package davfs

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

// Options of a server.
type Options struct {
	Listen   string // host:port, of this machine only; port 0: any
	User     string // whom to let in …
	Password string // … and only with this: any program of any user here can connect
	Who      fs.Caller
	Log      *slog.Logger // nil: silent
}

// Server is a running WebDAV server.
type Server struct {
	url  string
	http *http.Server
	done chan struct{}
}

// Serve begins to serve core. Invalid: the address is not one of this machine alone, or there is no
// password. Busy: the port is in use.
func Serve(core *fs.FS, o Options) (*Server, error) {
	const op = "davfs.Serve"
	host, _, err := net.SplitHostPort(o.Listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || o.Password == "" {
		return nil, errs.E(op, errs.Invalid, o.Listen, errors.New("a loopback address and a password are needed"))
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, errs.E(op, errs.Busy, o.Listen, err)
	}
	s := &Server{url: "http://" + l.Addr().String() + "/", done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           authorized(NewHandler(core, o.Who, o.Log), o.User, o.Password),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the WebDAV server ended", "err", err)
		}
	}()
	return s, nil
}

// authorized lets in who knows the password.
func authorized(h http.Handler, user, password string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(u+"\x00"+p), []byte(user+"\x00"+password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="Shelf", charset="UTF-8"`)
			http.Error(w, "shelf status tells user and password", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// URL is where clients find it.
func (s *Server) URL() string { return s.url }

// Done is closed when the server has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Unmount ends the server: requests under way are finished first, for as long as ctx lasts; lazy
// cuts them off.
func (s *Server) Unmount(ctx context.Context, lazy bool) error {
	if lazy {
		_ = s.http.Close()
		<-s.done
		return nil
	}
	if err := s.http.Shutdown(ctx); err != nil {
		return errs.E("davfs.Unmount", errs.Busy, s.url, errors.New("clients are still at work"))
	}
	<-s.done
	return nil
}
