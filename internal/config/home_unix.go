//go:build unix

package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

func ownedByUs(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Getuid() || os.Getuid() == 0
}

// socketDirs are short folders for the control sockets of homes with long paths.
func socketDirs() []string {
	var dirs []string
	if d := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		dirs = append(dirs, filepath.Join(d, "shelf"))
	}
	return append(dirs, "/tmp/shelf-"+strconv.Itoa(os.Getuid()))
}
