package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/share"
)

// A person is told in one line that nobody was found, and what to do; what was tried is in the log.
func TestInviterIsNotReached(t *testing.T) {
	const details = "failed to dial:\n  * [/ip4/10.0.0.1/tcp/1] i/o timeout"
	for _, c := range []struct {
		kind    errs.Kind
		expires time.Duration
		want    controlapi.Kind
		about   string
	}{
		{errs.Offline, time.Hour, "offline", "cannot be reached"},
		{errs.Offline, -time.Hour, "offline", "expired"},
		{errs.Refused, time.Hour, controlapi.KindToken, "does not wait"},
	} {
		s := home(t)
		s.Create = false
		s.Token = share.Token{Expires: time.Now().Add(c.expires)}.String()
		var log bytes.Buffer
		_, err := Open(context.Background(), s, slog.New(slog.NewTextHandler(&log, nil)),
			&lonely{deaf: errs.E("p2p.OpenGuest", c.kind, "", errors.New(details))})
		e := controlapi.FromError(err)
		if e == nil || e.Kind != c.want || !strings.Contains(e.Message, c.about) || e.Hint == "" || strings.Contains(e.Message+e.Hint, "\n") {
			t.Errorf("%v, %v: %+v", c.kind, c.expires, e)
		}
		if !strings.Contains(log.String(), "i/o timeout") {
			t.Errorf("the log lacks the details: %s", &log)
		}
	}
}

// Names of conflict copies are looked at again when a device is called otherwise, and not when one comes.
func TestRenamedDevices(t *testing.T) {
	d := mustOpen(t, home(t), &lonely{})
	defer func() { _ = d.Close() }()
	called := map[ident.DeviceID]string{}
	for range 2 {
		if d.renamed(called) {
			t.Error("nobody was renamed")
		}
	}
	if err := d.account.Rename(d.self(), "another"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if d.renamed(called) != want {
			t.Error("a device was renamed, once; told otherwise:", !want)
		}
	}
}
