//go:build unix

package control

import (
	"net"
	"os"
)

// listenPrivate makes the socket 0600. The folder around it is 0700, so nobody can connect
// between the two steps.
func listenPrivate(path string) (net.Listener, error) {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, err
	}
	return ln, nil
}
