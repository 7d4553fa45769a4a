package cli

import (
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/mounthelper/probe"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

// TestMain lets the scripts run this program as `shelf`, with the fake daemon in it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"shelf": func() { os.Exit(Main(fakeDeps(), os.Args[1:])) },
	})
}

func fakeDeps() Deps {
	return Deps{
		Version:   "1.2.3",
		RunDaemon: runFake,
		ServeRelay: func(_ context.Context, c config.Relay, _ *slog.Logger, ready func([]string)) error {
			if c.Listen == ":1" {
				return errs.E("fake", errs.Busy, "port 1", nil)
			}
			ready([]string{"shelf-relay://secret@" + append(c.Hosts, "this.machine")[0] + c.Listen + "/ID"})
			return nil
		},
		// A fake is quick; on a machine with much else to do still not at once.
		AnswerWait: 3 * time.Second,
		Probe: func() probe.Report {
			f := probe.Finding{ID: "fusermount", OK: true, Fatal: true, What: "fusermount3 is there"}
			if fakeWants("nofuse") {
				f = probe.Finding{ID: "fusermount", Fatal: true, What: "fusermount3 is not installed", Fix: "sudo apt-get install fuse3"}
			}
			return probe.Report{Findings: []probe.Finding{f}}
		},
		Examine: func(_ context.Context, h config.Home) []probe.Finding {
			if !h.HasState() {
				return nil
			}
			return []probe.Finding{{ID: "key", OK: true, Fatal: true, What: "the key of this device is in the file " + h.Dir() + "/key"}}
		},
		Unmount: func(context.Context, string, bool) error { return nil },
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("SHELF_HOME", filepath.Join(e.WorkDir, "h"))
			e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, "run"))
			e.Setenv("TZ", "UTC")
			e.Defer(func() { endDaemons(t, e.WorkDir) })
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"json":  jsonField,
			"crash": crash,
			"mode":  mode,

			"nothing": nothing,
			"term":    sendTerm,
			"waitfor": waitFor,
		},
	})
}

// endDaemons ends what a script has left running in its homes.
func endDaemons(t *testing.T, dir string) {
	locks, _ := filepath.Glob(filepath.Join(dir, "*", "lock"))
	for _, l := range locks {
		if pid, locked := config.Home(filepath.Dir(l)).Locked(); locked {
			t.Logf("%s: ending daemon %d", l, pid)
			_ = kill(pid)
		}
	}
}

// exits CODE command…: the command ends with exactly that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command args…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("%v: exit %s, want %s", args[1:], code, args[0])
	}
}

// json FILE PATH [VALUE]: the field of the last JSON line has that value, or exists. PATH is a dotted path.
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: json stdout|stderr path [value]")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	var v any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &v); err != nil {
		ts.Fatalf("last line is no JSON: %v: %s", err, lines[len(lines)-1])
	}
	for _, k := range strings.Split(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[k]
			if !ok {
				if neg {
					return
				}
				ts.Fatalf("no field %q in %s", args[1], lines[len(lines)-1])
			}
			v = next
		case []any:
			var i int
			if err := json.Unmarshal([]byte(k), &i); err != nil || i >= len(at) {
				ts.Fatalf("no element %q in %s", args[1], lines[len(lines)-1])
			}
			v = at[i]
		default:
			ts.Fatalf("no field %q in %s", args[1], lines[len(lines)-1])
		}
	}
	if len(args) < 3 {
		if neg {
			ts.Fatalf("%s is there: %v", args[1], v)
		}
		return
	}
	got, _ := json.Marshal(v)
	if s, ok := v.(string); ok {
		got = []byte(s)
	}
	if (string(got) == args[2]) == neg {
		ts.Fatalf("%s is %s, want %s (negated: %v)", args[1], got, args[2], neg)
	}
}

// crash HOME: kills the home's daemon as a power failure would.
func crash(ts *testscript.TestScript, _ bool, args []string) {
	h := config.Home(ts.MkAbs(args[0]))
	pid, locked := h.Locked()
	if !locked {
		ts.Fatalf("%s: no daemon", h)
	}
	ts.Check(kill(pid))
	ts.Check(h.WaitUnlocked(context.Background()))
}

// mode PERM FILE compares permission bits.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	fi, err := os.Lstat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fi.Mode().Perm().String(); got != args[0] {
		ts.Fatalf("%s: mode %s, want %s", args[1], got, args[0])
	}
}

// nothing DIR: the folder is empty.
func nothing(ts *testscript.TestScript, _ bool, args []string) {
	left, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(left) > 0 {
		ts.Fatalf("%s: %v is left", args[0], left)
	}
}

// waitFor GLOB: until a file of that name is there.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for range 1500 {
		if found, _ := filepath.Glob(ts.MkAbs(args[0])); len(found) > 0 {
			time.Sleep(100 * time.Millisecond) // for what comes right after
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("%s: not within half a minute", args[0])
}

// sendTerm sends SIGTERM to the newest command in the background.
func sendTerm(ts *testscript.TestScript, _ bool, _ []string) {
	all := ts.BackgroundCmds()
	ts.Check(all[len(all)-1].Process.Signal(syscall.SIGTERM))
}
