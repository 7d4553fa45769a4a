//go:build linux

package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refused runs a command that has to fail, and checks that its message speaks of what went wrong.
func (d *device) refused(about string, args ...string) {
	d.t.Helper()
	out, code := d.try(args...)
	if code == 0 {
		d.t.Errorf("shelf %s succeeded: %s", strings.Join(args, " "), out)
	} else if !strings.Contains(strings.ToLower(out), about) {
		d.t.Errorf("shelf %s: the message does not mention %q: %s", strings.Join(args, " "), about, out)
	}
}

func TestTokens(t *testing.T) {
	a, b, c := newDevice(t, "a").up(), newDevice(t, "b"), newDevice(t, "c")
	c.refused("invitation", "join", "shelf-join-nonsense")
	a.admit(b)
	out := a.must("devices", "--json")
	if !strings.Contains(out, `"b"`) {
		t.Errorf("b is not among the devices: %s", out)
	}
	// b has files of its own account: it does not change accounts silently.
	b.up()
	b.write("mine.txt", []byte("x"))
	b.refused("account", "join", "shelf-join-nonsense")
}

func TestMountpoints(t *testing.T) {
	a := newDevice(t, "a")
	if err := os.MkdirAll(a.mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.mnt, "precious"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	a.refused("empty", "up", a.mnt)
	if x, err := os.ReadFile(filepath.Join(a.mnt, "precious")); err != nil || string(x) != "x" {
		t.Fatal("what was in the folder is gone")
	}
	if err := os.Remove(filepath.Join(a.mnt, "precious")); err != nil {
		t.Fatal(err)
	}
	a.up()
	a.must("up", a.mnt) // again is harmless
	b := newDevice(t, "b")
	b.refused("mount", "up", a.mnt) // busy with another device's mount
	a.refused("runs already", "up", a.mnt, "--foreground")
	a.kill() // leaves a stale mount behind
	a.up()
	a.write("after", []byte("mended"))
}
