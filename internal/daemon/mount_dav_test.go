package daemon

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// The namespace is served to who knows the password, where clients find it again, and not at once
// with a mount.
func TestServedByWebDAV(t *testing.T) {
	s := home(t)
	s.Via = config.ViaWebDAV
	was := ""
	for _, body := range []string{"", "written in the first run"} {
		d := mustOpen(t, s, &lonely{})
		m, err := d.Mount(t.Context(), controlapi.MountRequest{Via: s.Via})
		if err != nil {
			t.Fatal(err)
		}
		if was != "" && m.URL != was {
			t.Errorf("it was at %s and is at %s", was, m.URL)
		}
		was = m.URL
		if again, err := d.Mount(t.Context(), controlapi.MountRequest{Via: s.Via}); err != nil || again != m {
			t.Errorf("%+v, %v", again, err)
		}
		if _, err := d.Mount(t.Context(), controlapi.MountRequest{Path: t.TempDir()}); controlapi.FromError(err).Kind != "busy" {
			t.Errorf("served and mounted: %v", err)
		}
		w, err := s.Home.WebDAV()
		if err != nil {
			t.Fatal(err)
		}
		do := func(method, body string) (int, string) {
			req, _ := http.NewRequest(method, m.URL+"f", strings.NewReader(body))
			req.SetBasicAuth(w.User, w.Password)
			req.Close = true
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(got)
		}
		if code, got := do(http.MethodGet, ""); body == "" && code != http.StatusNotFound || body != "" && got != body {
			t.Errorf("GET: %d %q", code, got)
		}
		if code, _ := do(http.MethodPut, "written in the first run"); code != http.StatusCreated {
			t.Errorf("PUT: %d", code)
		}
		if err := d.Unmount(t.Context(), controlapi.UnmountRequest{}); err != nil {
			t.Error(err)
		}
		if now := d.mounts.where(); now != (controlapi.Mount{}) {
			t.Errorf("still at %+v", now)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := config.WriteFile(s.Home.WebDAVFile(), []byte("no JSON")); err != nil {
		t.Fatal(err)
	}
	d := mustOpen(t, s, &lonely{})
	defer d.Close()
	if _, err := d.Mount(t.Context(), controlapi.MountRequest{Via: s.Via}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}
