//go:build linux

package cli

import (
	"net"
	"path/filepath"
	"testing"
)

func TestNotify(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "n"), "@shelf-test-" + filepath.Base(t.TempDir()) + t.Name()} {
		bind := name
		if bind[0] == '@' {
			bind = "\x00" + bind[1:]
		}
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: bind, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", name)
		notify("READY=1")
		buf := make([]byte, 64)
		n, err := l.Read(buf)
		if err != nil || string(buf[:n]) != "READY=1" {
			t.Errorf("%q %v", buf[:n], err)
		}
		l.Close()
	}
	notify("to a socket that has gone")
	t.Setenv("NOTIFY_SOCKET", "")
	notify("to nobody")
}
