//go:build linux

package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/config"
)

// device is one home on this machine, driven only by the command line.
type device struct {
	t    testing.TB
	name string
	home string
	mnt  string
	args []string // further arguments of `shelf up`

	program string   // if not the one under test
	prefix  []string // the command by which it is started, if any
	env     []string // and what more it is told
}

// cannot skips a test that this machine is not made for; in CI it fails.
func cannot(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what+": ", err)
	}
	t.Skip(what+": ", err)
}

func newDevice(t testing.TB, name string, upArgs ...string) *device {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		cannot(t, "no mount can be made here", err)
	}
	dir := t.TempDir()
	d := &device{t: t, name: name, home: filepath.Join(dir, "home"), mnt: filepath.Join(dir, "mnt"), args: upArgs}
	t.Cleanup(d.cleanup)
	d.settings(`heat = "off"`) // what nobody opened is not here: the scripts count on it
	return d
}

// settings writes the configuration, for the next start. Nothing waits for the machine of the tests to be another:
// it may be busy with them.
func (d *device) settings(text string) {
	d.t.Helper()
	text += "\n[background]\nbattery = \"0%\"\nmetered = \"no\"\npressure = false\n"
	err := errors.Join(os.MkdirAll(d.home, 0o700), os.WriteFile(filepath.Join(d.home, "config.toml"), []byte(text), 0o600))
	if err != nil {
		d.t.Fatal(err)
	}
}

// cleanup ends the daemon whatever state the test left it in, and shows its log if the test failed.
func (d *device) cleanup() {
	if _, code := d.try("down"); code != 0 {
		d.kill()
	}
	_ = exec.Command("fusermount3", "-uzq", d.mnt).Run()
	_ = syscall.Unmount(d.mnt, syscall.MNT_DETACH) // where root has no such command
	if d.t.Failed() {
		if b, err := os.ReadFile(filepath.Join(d.home, "shelf.log")); err == nil {
			d.t.Logf("end of the log of %s:\n%s", d.name, tailOf(b))
		}
	}
}

func (d *device) command(ctx context.Context, args ...string) *exec.Cmd {
	program := shelfBin
	if d.program != "" {
		program = d.program
	}
	words := append(append(slices.Clone(d.prefix), program, "--home", d.home), args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(environment(), d.env...)
	return cmd
}

// try runs one command and returns its standard output and exit code.
func (d *device) try(args ...string) (string, int) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := d.command(ctx, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	code := cmd.ProcessState.ExitCode()
	if err != nil {
		out.WriteString(errOut.String())
	}
	return out.String(), code
}

// must runs one command that has to succeed.
func (d *device) must(args ...string) string {
	d.t.Helper()
	out, code := d.try(args...)
	if code != 0 {
		d.t.Fatalf("%s: shelf %s: exit %d\n%s", d.name, strings.Join(args, " "), code, out)
	}
	return out
}

func (d *device) up() *device {
	d.t.Helper()
	d.must(append([]string{"up", d.mnt, "--name", d.name}, d.args...)...)
	return d
}

// admit joins other to d's account, as a script would.
func (d *device) admit(other *device) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	invite := d.command(ctx, "invite", "--yes", "--json")
	out, err := invite.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	var errOut bytes.Buffer
	invite.Stderr = &errOut
	if err := invite.Start(); err != nil {
		d.t.Fatal(err)
	}
	var token struct{ Token string }
	if err := json.NewDecoder(out).Decode(&token); err != nil || token.Token == "" {
		d.t.Fatalf("first line of invite: %v\n%s", err, errOut.String())
	}
	other.must("join", token.Token, "--name", other.name)
	_, _ = io.Copy(io.Discard, out)
	if err := invite.Wait(); err != nil {
		d.t.Fatalf("invite: %v\n%s", err, errOut.String())
	}
}

// status is the part of `shelf status --json` that the scripts look at.
type status struct {
	Daemon struct{ PID int }
	Device struct{ ID, Name string }
	Cache  struct {
		Limit   int64 `json:"limit_bytes"`
		Used    int64 `json:"used_bytes"`
		Pinned  int64 `json:"pinned_bytes"`
		Staged  int64 `json:"staged_bytes"`
		Fetched int64 `json:"fetched_bytes"`
	}
	Peers []struct {
		ID, Name, Path string
		Connected      bool
	}
	Files, Bytes int64
	Pending      struct{ Records, Blocks, Bytes int64 }
	Transferred  struct {
		BlocksIn  int64 `json:"blocks_in"`
		BytesIn   int64 `json:"bytes_in"`
		BlocksOut int64 `json:"blocks_out"`
		BytesOut  int64 `json:"bytes_out"`
	}
}

type pathStatus struct {
	Size       int64
	Kind       string
	LocalBytes int64 `json:"local_bytes"`
	Complete   bool
	Placement  string
	Copies     []struct {
		Device   string
		Complete bool
	}
	Conflict any
}

func (d *device) status() (s status) { d.decode(&s, "status", "--json"); return }
func (d *device) pathStatus(path string) (s pathStatus) {
	d.decode(&s, "status", "--json", path)
	return
}

func (d *device) decode(v any, args ...string) {
	d.t.Helper()
	out := d.must(args...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		d.t.Fatalf("%s: shelf %v: %v\n%s", d.name, args, err, out)
	}
}

// kill ends the daemon with SIGKILL, as a power cut for the process would. That it has ended, its lock tells:
// the process may stay as a zombie where nobody waits for orphans, as in many containers.
func (d *device) kill() {
	d.t.Helper()
	out, code := d.try("status", "--json")
	var s status
	if code != 0 || json.Unmarshal([]byte(out), &s) != nil || s.Daemon.PID == 0 {
		return
	}
	_ = syscall.Kill(s.Daemon.PID, syscall.SIGKILL)
	eventually(d.t, 10*time.Second, "the killed daemon is gone", func() bool { _, locked := config.Home(d.home).Locked(); return !locked })
}

func (d *device) path(name string) string { return filepath.Join(d.mnt, name) }

func (d *device) write(name string, data []byte) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(d.path(name)), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(d.path(name), data, 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) read(name string) []byte {
	d.t.Helper()
	b, err := os.ReadFile(d.path(name))
	if err != nil {
		d.t.Fatalf("%s: %v", d.name, err)
	}
	return b
}

// shows waits until the mount of d shows exactly data under name.
func (d *device) shows(name string, data []byte) {
	d.t.Helper()
	eventually(d.t, 15*time.Second, fmt.Sprintf("%s shows %s", d.name, name), func() bool {
		b, err := os.ReadFile(d.path(name))
		return err == nil && bytes.Equal(b, data)
	})
}

// tailOf is the end of a log without the store's own chatter.
func tailOf(log []byte) []byte {
	var out []byte
	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, []byte("kv: engine")) {
			out = append(out, line...)
		}
	}
	return out[max(0, len(out)-4096):]
}
