//go:build !windows

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
)

func newHook(t *testing.T, command string) (h *hook, said *bytes.Buffer) {
	said = &bytes.Buffer{}
	return &hook{command: command, home: t.TempDir(), limit: 20 * time.Second, log: slog.New(slog.NewTextHandler(said, nil))}, said
}

func TestHookIsToldTwice(t *testing.T) {
	h, said := newHook(t, `cat > event; echo "$SHELF_EVENT|$SHELF_FOLDER|$SHELF_COUNT|$SHELF_DEVICES|$SHELF_HOME|$SHELF_MOUNT|$SHELF_SUMMARY" > env`)
	e := controlapi.ConflictEvent{Event: "conflict", Summary: "2 conflicts", Folder: "/it's $(x)", Count: 2, Devices: []string{"a", "b"}, Mount: "/m"}
	h.run(t.Context(), e)
	b, err := os.ReadFile(filepath.Join(h.home, "event"))
	var got controlapi.ConflictEvent
	if err != nil || json.Unmarshal(b, &got) != nil || got.Folder != e.Folder || got.Count != 2 {
		t.Errorf("standard input: %s %v", b, err)
	}
	if b, _ = os.ReadFile(filepath.Join(h.home, "env")); string(b) != "conflict|/it's $(x)|2|a,b|"+h.home+"|/m|2 conflicts\n" {
		t.Errorf("variables: %s", b)
	}
	if said.Len() > 0 {
		t.Error(said)
	}
}

func TestHookThatFailsIsLogged(t *testing.T) {
	h, said := newHook(t, `echo what went wrong >&2; exit 3`)
	h.run(t.Context(), controlapi.ConflictEvent{}) // does not read its input, too
	if s := said.String(); !strings.Contains(s, "exit status 3") || !strings.Contains(s, "what went wrong") {
		t.Error(s)
	}
}

// A command that hangs is ended with all it has started, and so it is when the daemon ends.
func TestHookThatHangsIsEnded(t *testing.T) {
	for _, by := range []string{"limit", "end"} {
		t.Run(by, func(t *testing.T) {
			h, said := newHook(t, `sleep 1000 & echo $! > child.new; mv child.new child; wait`)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			child := filepath.Join(h.home, "child")
			started := make(chan struct{})
			go func() {
				defer close(started)
				for ctx.Err() == nil {
					if _, err := os.Stat(child); err == nil {
						break
					}
					time.Sleep(5 * time.Millisecond)
				}
				if by == "end" {
					cancel()
				}
			}()
			if by == "limit" {
				h.limit = time.Second
			}
			h.run(ctx, controlapi.ConflictEvent{})
			<-started
			b, err := os.ReadFile(child)
			if err != nil {
				t.Fatal(err)
			}
			pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
			for end := time.Now().Add(5 * time.Second); alive(pid) && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond)
			}
			if alive(pid) {
				t.Error("what it started still runs")
			}
			if told := strings.Contains(said.String(), "was ended"); told != (by == "limit") {
				t.Errorf("log: %s", said)
			}
		})
	}
}

// alive reports whether a process runs; one that nobody has waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(b), ") Z ")
}
