package client

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// fakeServer answers every request with a status and a body, and then hangs up.
func fakeServer(t *testing.T, status int, body string) *Client {
	t.Helper()
	p := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", p)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close() })
	c := New(p)
	t.Cleanup(c.Close)
	return c
}

// Whatever a daemon of another version, or a broken one, says: an error, no panic.
func TestBadAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   errs.Kind
	}{
		{"not JSON", 200, "hello", errs.Protocol},
		{"wrong type", 200, `{"files":"many"}`, errs.Protocol},
		{"cut", 200, `{"files":`, errs.Closed},
		{"empty", 200, ``, errs.Closed},
		{"error without a body", 500, ``, errs.Protocol},
		{"error that is none", 500, `{}`, errs.Protocol},
		{"unknown kind", 500, `{"error":{"kind":"from the future","message":"m"}}`, errs.Other},
		{"known kind", 409, `{"error":{"kind":"busy","message":"m"}}`, errs.Busy},
	} {
		_, err := fakeServer(t, c.status, c.body).Status(t.Context())
		if err == nil || errs.KindOf(err) != c.want {
			t.Errorf("%s: %v (%v), want %v", c.name, err, errs.KindOf(err), c.want)
		}
		if c.status == 200 {
			err := fakeServer(t, c.status, c.body).List(t.Context(), "/", nil)
			if err == nil {
				t.Errorf("%s as a stream: no error", c.name)
			}
		}
	}
	// A stream that breaks off has no result.
	_, err := fakeServer(t, 200, "{\"progress\":{}}\n").Sync(t.Context(), controlapi.SyncRequest{}, nil)
	if !errs.Is(err, errs.Closed) {
		t.Errorf("broken stream: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fakeServer(t, 200, "{}").Status(ctx); !errs.Is(err, errs.Interrupted) {
		t.Errorf("%v", err)
	}
}
