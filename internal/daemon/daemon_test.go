package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/client"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/placement"
	"github.com/shelffs/shelf/mounthelper/probe"
)

// A part that does not open closes those opened before it: the next attempt finds the home free.
func TestFailedOpenLeavesTheHomeFree(t *testing.T) {
	s := home(t)
	refused := errs.E("test", errs.Permission, "no network for you", nil)
	for range 2 {
		if _, err := open(s, &lonely{refuse: refused}); !errors.Is(err, refused) {
			t.Fatalf("got %v", err)
		}
	}
	joining := home(t)
	joining.Create, joining.Token = false, "shelf-join-nonsense"
	if _, err := open(joining, &lonely{}); err == nil {
		t.Fatal("joined by nonsense")
	}
	joining.Token = ""
	if _, err := open(joining, &lonely{}); controlapi.FromError(err).Kind != controlapi.KindNoAccount {
		t.Errorf("after a failed join: %v", err)
	}
	mustOpen(t, s, &lonely{}).Close()
}

func TestSecondDaemonOnOneHome(t *testing.T) {
	s := home(t)
	d := mustOpen(t, s, &lonely{})
	if _, err := open(s, &lonely{}); !errs.Is(err, errs.Busy) {
		t.Errorf("got %v, want busy", err)
	}
	if st, err := d.Status(context.Background()); err != nil || st.Account.Devices != 1 {
		t.Errorf("the first suffers: %+v %v", st, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, s, &lonely{}).Close()
}

// scribble overwrites files with bytes that no format begins with.
func scribble(t *testing.T, pattern string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatal("nothing at "+pattern, err)
	}
	for _, name := range names {
		if err := os.WriteFile(name, []byte(strings.Repeat("damage", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// flip changes some bytes of files.
func flip(t *testing.T, pattern string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatal("nothing at "+pattern, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 16 {
			b[len(b)/4+i] ^= 0x5a
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedStoresNameTheWayOut(t *testing.T) {
	for name, spoil := range map[string]struct {
		do   func(t *testing.T, h config.Home)
		hint func(h config.Home) string
	}{
		"store": {
			func(t *testing.T, h config.Home) { scribble(t, h.StoreDir()+"/MANIFEST-*") },
			func(h config.Home) string { return "move " + h.Dir() + " away" },
		},
		"cache": {
			func(t *testing.T, h config.Home) { scribble(t, h.CacheDir()+"/index/MANIFEST-*") },
			func(h config.Home) string { return "move " + h.CacheDir() + " away" },
		},
		"a table of the store": {
			func(t *testing.T, h config.Home) { flip(t, h.StoreDir()+"/*.sst") },
			func(h config.Home) string { return "move " + h.Dir() + " away" },
		},
		"key": {
			func(t *testing.T, h config.Home) { flip(t, h.Dir()+"/key") },
			func(config.Home) string { return "bring it back from a backup" },
		},
		"keystore": {
			func(t *testing.T, h config.Home) { flip(t, h.Dir()+"/keystore") },
			func(h config.Home) string { return "the key itself is there: move " + h.Dir() + "/keystore away" },
		},
		"key and keystore": {
			func(t *testing.T, h config.Home) { flip(t, h.Dir()+"/key*") },
			func(config.Home) string { return "bring it back from a backup" },
		},
		"store gone": {
			func(t *testing.T, h config.Home) {
				if err := os.RemoveAll(h.StoreDir()); err != nil {
					t.Fatal(err)
				}
			},
			func(h config.Home) string { return "put " + h.StoreDir() + " back" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := home(t)
			if err := mustOpen(t, s, &lonely{}).Close(); err != nil {
				t.Fatal(err)
			}
			mustOpen(t, s, &lonely{}).Close() // with tables, not only a log
			spoil.do(t, s.Home)
			found := Examine(context.Background(), s.Home)
			_, err := open(s, &lonely{})
			if e := controlapi.FromError(err); e.Kind != "corrupt" || !strings.HasPrefix(e.Hint, spoil.hint(s.Home)) || strings.Contains(e.Message, "pebble") {
				t.Errorf("%v, advice %q", err, e.Hint)
			}
			bad := slices.IndexFunc(found, func(f probe.Finding) bool { return !f.OK && f.Fatal })
			switch {
			case name == "store gone": // what is missing, the start tells
			case bad < 0 || !strings.HasPrefix(found[bad].Fix, spoil.hint(s.Home)):
				t.Errorf("doctor finds %+v", found)
			}
		})
	}
}

// A whole home has no findings but good ones, whether a daemon runs or not, and examining it is in no daemon's way.
func TestExamineWholeHome(t *testing.T) {
	s := home(t)
	if found := Examine(context.Background(), s.Home); len(found) != 0 {
		t.Errorf("there is nothing yet: %+v", found)
	}
	names := func() (out []string) {
		for _, f := range Examine(context.Background(), s.Home) {
			if !f.OK {
				t.Errorf("%+v", f)
			}
			out = append(out, f.ID)
		}
		return out
	}
	d := mustOpen(t, s, &lonely{})
	lock, err := s.Home.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"disk", "key"}) {
		t.Errorf("while a daemon runs: %q", got)
	}
	_, _ = d.Close(), lock.Release()
	if got := names(); !slices.Equal(got, []string{"disk", "key", "store", "cache"}) {
		t.Errorf("afterwards: %q", got)
	}
	mustOpen(t, s, &lonely{}).Close()
}

// What was written is saved before the parts that save it close.
func TestCloseSavesFirst(t *testing.T) {
	s, ctx := home(t), context.Background()
	var unsaved int
	var d *daemon
	d = mustOpen(t, s, &lonely{closed: func() { unsaved, _ = d.fs.Unsaved() }})
	_, h, err := d.fs.Create(ctx, fs.Caller{}, fs.RootIno, "a", 0o644, fs.OpenFlags{Write: true}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.WriteAt(ctx, 0, []byte("written"), fs.WriteFlags{}); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if err := d.Close(); err != nil || unsaved != 0 {
		t.Errorf("%v, %d files unsaved when the network closed", err, unsaved)
	}
	d = mustOpen(t, s, &lonely{})
	defer d.Close()
	if e, err := d.resolve("/a"); err != nil || e.Content.Size != 7 {
		t.Errorf("%+v %v", e, err)
	}
}

// Run ends with its context, and in order: no request meets closed parts.
func TestRunEndsInOrder(t *testing.T) {
	s := home(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	answers := func() error {
		c := client.New(s.Home.Socket())
		defer c.Close()
		_, err := c.Status(context.Background())
		return err
	}
	var order []string
	via := &lonely{closed: func() {
		order = append(order, "network closed")
		if answers() == nil {
			order = append(order, "and the control API answers still")
		}
	}}
	ready, ended := make(chan controlapi.Ready, 1), make(chan error, 1)
	go func() {
		ended <- run(ctx, s, slog.New(slog.DiscardHandler), func(ev controlapi.StartEvent) {
			if ev.Ready != nil {
				ready <- *ev.Ready
			}
		}, via)
	}()
	select {
	case r := <-ready:
		if !r.Created || r.PID != os.Getpid() {
			t.Errorf("%+v", r)
		}
	case err := <-ended:
		t.Fatal(err)
	}
	if err := answers(); err != nil {
		t.Errorf("ready, and does not answer: %v", err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("asked to end, it fails: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	if !slices.Equal(order, []string{"network closed"}) {
		t.Errorf("order: %q", order)
	}
	mustOpen(t, s, &lonely{}).Close()
}

// A control socket that cannot be made ends the start, and leaves nothing open.
func TestRunFailsWithoutItsSocket(t *testing.T) {
	s := home(t)
	if err := os.MkdirAll(filepath.Join(s.Home.Dir(), "control.sock"), 0o700); err != nil {
		t.Fatal(err)
	}
	closed := false
	err := run(context.Background(), s, slog.New(slog.DiscardHandler), func(controlapi.StartEvent) {}, &lonely{closed: func() { closed = true }})
	if !errs.Is(err, errs.Exist) || !closed {
		t.Errorf("%v, network closed %v", err, closed)
	}
	mustOpen(t, s, &lonely{}).Close()
}

// A program that was refused does not wait any more, even while blocks after it are still asked for.
func TestWhyTellsWaitingFromReadAhead(t *testing.T) {
	d := mustOpen(t, home(t), &lonely{})
	defer d.Close()
	e, err := d.names.Create(namespace.Root, "far", namespace.Spec{Kind: namespace.File, Mode: 0o644})
	if err != nil {
		t.Fatal(err)
	}
	far := blocks.Content{Root: blocks.New([]byte("elsewhere")).Digest, Size: 9}
	if e, err = d.names.Commit(e.ID, e.Versions, far, 1); err != nil {
		t.Fatal(err)
	}
	defer d.fetcher.Ahead(far.Root)()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	why := func() (controlapi.Why, string) {
		w, err := d.Why(ctx, "/far")
		if err != nil {
			t.Fatal(err)
		}
		return w, w.Reason
	}
	eventually(t, "is read ahead", func() bool { _, ok := d.fetcher.Status(far.Root); return ok })
	if w, reason := why(); w.Waiting || strings.Contains(reason, ";") && strings.Contains(reason, "waiting") {
		t.Errorf("nobody waits: %+v", w)
	}
	go func() { _, _ = d.fetcher.GetBlock(ctx, far.Root) }()
	eventually(t, "a program waits, and it is told", func() bool { w, _ := why(); return w.Waiting })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestRefusedPinSaysWhatIsFull(t *testing.T) {
	for want, cause := range map[string]error{
		"the disk is full":                  nil,
		"the disk leaves room for 1 KiB,":   &placement.NoRoom{Need: 1 << 20, Limit: 1 << 30, Quota: 1 << 30, Disk: 1 << 10},
		"the cache's limit leaves room for": &placement.NoRoom{Need: 1 << 20, Limit: 1 << 10, Quota: 1 << 10, Disk: 1 << 30},
		"the quota of pins leaves room for": &placement.NoRoom{Need: 1 << 20, Limit: 1 << 30, Quota: 1 << 10, Disk: 1 << 30},
		"the cache's limit leaves no room":  &placement.NoRoom{Limit: 0, Disk: 1 << 30},
	} {
		err := fmt.Errorf("wrapped: %w", errs.E("test", errs.NoSpace, "", cause))
		if got := (&daemon{}).refusal(err, "/x"); got.Kind != "no_space" || !strings.HasPrefix(got.Reason, want) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}
