package guest

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

// NetworkManager is asked over a bus of the test's own.
func TestSystemMetered(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "nobody"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if systemMetered(ctx) {
		t.Error("metered where there is no bus")
	}
	addr := privateBus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", addr)
	if systemMetered(ctx) {
		t.Error("metered where there is no NetworkManager")
	}
	conn, err := dbus.Connect(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const name, path = "org.freedesktop.NetworkManager", dbus.ObjectPath("/org/freedesktop/NetworkManager")
	props, err := prop.Export(conn, path, prop.Map{name: {"Metered": {Value: uint32(0), Emit: prop.EmitFalse}}})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(r, err)
	}
	for n, want := range []bool{false, true, false, true, false} {
		props.SetMust(name, "Metered", uint32(n))
		if got := systemMetered(ctx); got != want {
			t.Errorf("NMMetered %d: %v", n, got)
		}
	}
}

func privateBus(t *testing.T) (addr string) {
	program, err := exec.LookPath("dbus-daemon") // `make test` installs it; only elsewhere than in CI it may be missing
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	cmd := exec.Command(program, "--session", "--nofork", "--print-address=3", "--address=unix:dir="+t.TempDir())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	addr, err = bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(addr)
}

// The interface that the system would send from is one that has that address.
func TestInterfaceOf(t *testing.T) {
	if got := interfaceOf(net.IPv4(127, 0, 0, 1)); got != "lo" {
		t.Errorf("of loopback: %q", got)
	}
	if got := interfaceOf(net.IPv4(192, 0, 2, 1)); got != "" {
		t.Errorf("of nobody's address: %q", got)
	}
	if name := routeToInternet(); name != "" {
		if _, err := net.InterfaceByName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
