package fusefs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/shelffs/shelf/mounthelper"
)

// connections is where the kernel shows its FUSE connections to those who mounted them, each under
// the minor number of its device.
const connections = "/sys/fs/fuse/connections"

// connection is the kernel's name of the connection of the mount at dir; "" if it is not known.
func connection(dir string) string {
	_, minor, _ := strings.Cut(mounthelper.Device(dir), ":")
	return minor
}

// abort ends a connection, wherever copies of its mount may be. Programs there get ENOTCONN.
func abort(conn string) error {
	if conn == "" {
		return errors.New("the connection is not known")
	}
	f, err := os.OpenFile(filepath.Join(connections, conn, "abort"), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(connections + " is not mounted")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString("1")
	return err
}
