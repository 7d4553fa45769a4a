package control_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control"
	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

var quietLog = slog.New(slog.NewTextHandler(io.Discard, nil))

// stub is a Daemon of which a test fills in what it needs; the rest panics by the nil interface.
type stub struct {
	control.Daemon
	status  func(context.Context) (controlapi.Status, error)
	list    func(context.Context, string, func(controlapi.Entry) error) error
	pin     func(context.Context, controlapi.PlaceRequest, func(controlapi.Progress)) (controlapi.PlaceResult, error)
	invite  func(context.Context, controlapi.InviteRequest, control.InviteHost) (controlapi.Joined, error)
	stop    func(context.Context, controlapi.StopRequest) error
	syncing func(context.Context, controlapi.SyncRequest, func(controlapi.Pending)) (controlapi.SyncResult, error)
}

func (s stub) Status(ctx context.Context) (controlapi.Status, error) { return s.status(ctx) }
func (s stub) List(ctx context.Context, p string, f func(controlapi.Entry) error) error {
	return s.list(ctx, p, f)
}
func (s stub) Pin(ctx context.Context, q controlapi.PlaceRequest, f func(controlapi.Progress)) (controlapi.PlaceResult, error) {
	return s.pin(ctx, q, f)
}
func (s stub) Invite(ctx context.Context, q controlapi.InviteRequest, h control.InviteHost) (controlapi.Joined, error) {
	return s.invite(ctx, q, h)
}
func (s stub) Stop(ctx context.Context, q controlapi.StopRequest) error { return s.stop(ctx, q) }
func (s stub) Sync(ctx context.Context, q controlapi.SyncRequest, f func(controlapi.Pending)) (controlapi.SyncResult, error) {
	return s.syncing(ctx, q, f)
}

// serve runs a server for d until the test or cancel ends it.
func serve(t *testing.T, d control.Daemon) (c *client.Client, socket string, cancel func() error) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	ln, err := control.Listen(socket, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, ln, d, quietLog) }()
	ended := false
	cancel = func() error {
		if ended {
			return nil
		}
		ended = true
		stop()
		return <-done
	}
	c = client.New(socket)
	t.Cleanup(func() {
		c.Close()
		if err := cancel(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return c, socket, cancel
}

func TestStatusAndErrors(t *testing.T) {
	var fail error
	c, _, _ := serve(t, stub{status: func(context.Context) (controlapi.Status, error) {
		return controlapi.Status{Files: 7}, fail
	}})
	st, err := c.Status(t.Context())
	if err != nil || st.Files != 7 {
		t.Fatalf("%+v %v", st, err)
	}
	for k := errs.NotExist; k.String() != "unknown kind"; k++ {
		fail = controlapi.WithHint(errs.E("x", k, "subject", nil), "hint")
		_, err = c.Status(t.Context())
		var e *controlapi.Error
		if errs.KindOf(err) != k || !errors.As(err, &e) || e.Hint != "hint" || !strings.HasPrefix(e.Message, "subject: ") {
			t.Errorf("%v came back as %v (%v)", k, errs.KindOf(err), err)
		}
	}
}

// What a daemon is busy with is told over the same socket, in the form that Go's tools read.
func TestProfiles(t *testing.T) {
	_, socket, _ := serve(t, stub{})
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer c.CloseIdleConnections()
	for path, begins := range map[string]string{"profile?seconds=1": "\x1f\x8b", "goroutine?debug=1": "goroutine profile: "} {
		r, err := c.Get("http://shelf/debug/pprof/" + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK || !strings.HasPrefix(string(b), begins) {
			t.Errorf("%s: %s, %v, %.40q", path, r.Status, err, b)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "s")
	dead := filepath.Join(t.TempDir(), "dead")
	ln, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	for _, p := range []string{missing, dead} {
		_, err := client.New(p).Status(t.Context())
		if controlapi.FromError(err).Kind != controlapi.KindNotRunning {
			t.Errorf("%s: %v", p, err)
		}
	}
	// What a dead daemon left is no obstacle; anything else is not touched.
	l, err := control.Listen(dead, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Listen(file, quietLog); !errs.Is(err, errs.Exist) {
		t.Errorf("over a file: %v", err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	_, socket, _ := serve(t, stub{})
	fi, err := os.Lstat(socket)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestListStreams(t *testing.T) {
	const n = 10000
	var after error
	c, _, _ := serve(t, stub{list: func(_ context.Context, p string, emit func(controlapi.Entry) error) error {
		if p == "/none" {
			return errs.E("x", errs.NotExist, p, nil)
		}
		for i := range n {
			if err := emit(controlapi.Entry{Name: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return after
	}})
	count := 0
	each := func(controlapi.Entry) error { count++; return nil }
	if err := c.List(t.Context(), "/a b/ü?&#%", each); err != nil || count != n {
		t.Fatalf("%d entries, %v", count, err)
	}
	after = errs.E("x", errs.Corrupt, "row", nil)
	if err := c.List(t.Context(), "/", nil); !errs.Is(err, errs.Corrupt) {
		t.Errorf("an error at the end: %v", err)
	}
	if err := c.List(t.Context(), "/none", nil); !errs.Is(err, errs.NotExist) {
		t.Errorf("an error at once: %v", err)
	}
	enough := errors.New("enough")
	if err := c.List(t.Context(), "/", func(controlapi.Entry) error { return enough }); err != enough {
		t.Errorf("the caller's own error: %v", err)
	}
	for _, p := range []string{"", "a", "/a/", "/a/../b", "//", "/a\x00", "/" + strings.Repeat("x", 4096)} {
		if err := c.List(t.Context(), p, nil); err == nil {
			t.Errorf("path %.20q accepted", p)
		}
	}
}

// Progress is thinned out; result and errors always come.
func TestPinProgress(t *testing.T) {
	c, _, _ := serve(t, stub{pin: func(_ context.Context, q controlapi.PlaceRequest, progress func(controlapi.Progress)) (controlapi.PlaceResult, error) {
		for i := range int64(1000) {
			progress(controlapi.Progress{Blocks: i})
		}
		return controlapi.PlaceResult{Items: []controlapi.PlaceItem{{Path: q.Paths[0]}}}, nil
	}})
	n := 0
	res, err := c.Pin(t.Context(), controlapi.PlaceRequest{Paths: []string{"/a"}}, func(controlapi.Progress) { n++ })
	if err != nil || len(res.Items) != 1 || res.Items[0].Path != "/a" || n < 1 || n > 100 {
		t.Errorf("%+v, %v, %d steps", res, err, n)
	}
	if _, err := c.Pin(t.Context(), controlapi.PlaceRequest{}, nil); !errs.Is(err, errs.Invalid) {
		t.Errorf("no paths: %v", err)
	}
}

func TestInviteAsksAndAnswers(t *testing.T) {
	for _, approve := range []bool{true, false} {
		c, _, _ := serve(t, stub{invite: func(ctx context.Context, q controlapi.InviteRequest, h control.InviteHost) (controlapi.Joined, error) {
			if err := h.Opened(controlapi.InviteToken{ID: "i", Token: "t"}); err != nil {
				return controlapi.Joined{}, err
			}
			ok, err := h.Ask(ctx, controlapi.Asker{ID: "k", Name: "phone"})
			return controlapi.Joined{Name: fmt.Sprint(ok)}, err
		}})
		joined, err := c.Invite(t.Context(), controlapi.InviteRequest{TTL: time.Hour}, func(ev controlapi.InviteEvent) error {
			if ev.Asker == nil {
				return nil
			}
			if err := c.AnswerInvite(t.Context(), controlapi.InviteAnswer{Invite: "i", Asker: "other"}); !errs.Is(err, errs.NotExist) {
				t.Errorf("answer to nobody: %v", err)
			}
			return c.AnswerInvite(t.Context(), controlapi.InviteAnswer{Invite: "i", Asker: "k", Approve: approve})
		})
		if err != nil || joined.Name != fmt.Sprint(approve) {
			t.Errorf("approve %v: %+v %v", approve, joined, err)
		}
	}
}

// Hanging up ends the daemon's work: an invitation without its person is void.
func TestHangingUpCancels(t *testing.T) {
	ended := make(chan error, 1)
	c, _, _ := serve(t, stub{invite: func(ctx context.Context, _ controlapi.InviteRequest, h control.InviteHost) (controlapi.Joined, error) {
		_ = h.Opened(controlapi.InviteToken{ID: "i"})
		_, err := h.Ask(ctx, controlapi.Asker{ID: "k"})
		ended <- err
		return controlapi.Joined{}, err
	}})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.Invite(ctx, controlapi.InviteRequest{TTL: time.Hour}, func(ev controlapi.InviteEvent) error {
		if ev.Asker != nil {
			cancel()
		}
		return nil
	})
	if !errs.Is(err, errs.Interrupted) {
		t.Errorf("client: %v", err)
	}
	select {
	case err := <-ended:
		if !errs.Is(err, errs.Interrupted) {
			t.Errorf("daemon: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the daemon still waits")
	}
}

// The answer to stop is sent although the daemon is ending; work that does not end by itself
// is cancelled.
func TestStopAnswersAndEnds(t *testing.T) {
	var end func() error
	ending := make(chan error, 1)
	d := stub{stop: func(context.Context, controlapi.StopRequest) error {
		go func() { ending <- end() }()
		time.Sleep(50 * time.Millisecond)
		return nil
	}}
	var cancelled atomic.Bool
	d.syncing = func(ctx context.Context, _ controlapi.SyncRequest, _ func(controlapi.Pending)) (controlapi.SyncResult, error) {
		<-ctx.Done()
		cancelled.Store(true)
		return controlapi.SyncResult{}, ctx.Err()
	}
	c, socket, cancel := serve(t, d)
	end = cancel
	waiting := make(chan error, 1)
	go func() {
		_, err := client.New(socket).Sync(t.Context(), controlapi.SyncRequest{Wait: true}, nil)
		waiting <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if err := c.Stop(t.Context(), controlapi.StopRequest{}); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := <-ending; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := <-waiting; err == nil || !cancelled.Load() {
		t.Errorf("the one who waited: %v, cancelled %v", err, cancelled.Load())
	}
}

// Bad requests get an answer with a kind, and never harm.
func TestBadRequests(t *testing.T) {
	_, socket, _ := serve(t, stub{})
	for name, c := range map[string]struct{ request, want string }{
		"unknown field": {"POST /v1/mount HTTP/1.0\r\nContent-Length: 13\r\n\r\n{\"nonsense\":1}", "400"},
		"not JSON":      {"POST /v1/stop HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "400"},
		"two objects":   {"POST /v1/stop HTTP/1.0\r\nContent-Length: 4\r\n\r\n{}{}", "400"},
		"empty":         {"POST /v1/pin HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "400"},
		"too long":      {"POST /v1/stop HTTP/1.0\r\nContent-Length: 2000000\r\n\r\n{\"x\":\"" + strings.Repeat("x", 1500000), "400"},
		"huge header":   {"GET /v1/status HTTP/1.0\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "431"},
		"another API":   {"GET /v2/status HTTP/1.0\r\n\r\n", "501"},
		"wrong method":  {"GET /v1/mount HTTP/1.0\r\n\r\n", "501"},
		"no lifetime":   {"POST /v1/invite HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", "400"},
	} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		go func() { _, _ = io.WriteString(conn, c.request) }()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || !strings.HasPrefix(res.Status, c.want) {
			t.Errorf("%s: %v %v, want %s", name, res, err, c.want)
		}
		conn.Close()
	}
}

// Names are bytes: requests, answers, lines of a stream and errors carry what is not UTF-8.
func TestNamesThatAreNotText(t *testing.T) {
	const p, q = "/bad\xff", "/b\xe2\x82"
	c, _, _ := serve(t, stub{
		pin: func(_ context.Context, r controlapi.PlaceRequest, _ func(controlapi.Progress)) (controlapi.PlaceResult, error) {
			return controlapi.PlaceResult{Items: []controlapi.PlaceItem{{Path: r.Paths[1]}, {Path: r.Paths[0]}}}, nil
		},
		list: func(_ context.Context, at string, emit func(controlapi.Entry) error) error {
			if at == p {
				return errs.E("list", errs.NotExist, at, nil)
			}
			return emit(controlapi.Entry{Name: at[1:]})
		},
	})
	res, err := c.Pin(t.Context(), controlapi.PlaceRequest{Paths: []string{p, q}}, nil)
	if err != nil || len(res.Items) != 2 || res.Items[0].Path != q || res.Items[1].Path != p {
		t.Errorf("%+v %v", res, err)
	}
	var got string
	err = c.List(t.Context(), q, func(e controlapi.Entry) error { got = e.Name; return nil })
	if err != nil || got != q[1:] {
		t.Errorf("%q %v", got, err)
	}
	if err := c.List(t.Context(), p, nil); err == nil || err.Error() != p+": does not exist" {
		t.Errorf("%q", err)
	}
	if _, err := c.Pin(t.Context(), controlapi.PlaceRequest{Paths: []string{"/a\x00b"}}, nil); !errs.Is(err, errs.Invalid) {
		t.Errorf("a NUL: %v", err)
	}
}
