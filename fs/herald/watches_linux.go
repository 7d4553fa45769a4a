package herald

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// watches lists the inodes of a filesystem that programs watch by inotify, as far as we may look at
// the programs. Who may not be looked at by us may not look into our mount either.
// Source: proc_pid_fdinfo(5).
func watches(device string) map[uint64]bool {
	found := map[uint64]bool{}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || to != "anon_inode:inotify" {
			continue
		}
		info, err := os.Open(strings.Replace(fd, "/fd/", "/fdinfo/", 1))
		if err != nil {
			continue
		}
		for in := bufio.NewScanner(info); in.Scan(); {
			if ino, dev, ok := watch(in.Text()); ok && dev == device {
				found[ino] = true
			}
		}
		_ = info.Close()
	}
	return found
}

// watch reads a line "inotify wd:1 ino:2b sdev:3c mask:…": the inode, and its device as "major:minor".
func watch(line string) (ino uint64, device string, ok bool) {
	rest, ok := strings.CutPrefix(line, "inotify ")
	if !ok {
		return 0, "", false
	}
	for _, field := range strings.Fields(rest) {
		name, value, _ := strings.Cut(field, ":")
		n, err := strconv.ParseUint(value, 16, 64)
		switch {
		case name != "ino" && name != "sdev":
		case err != nil:
			return 0, "", false
		case name == "ino":
			ino = n
		default:
			device = fmt.Sprintf("%d:%d", n>>20, n&(1<<20-1)) // as the kernel keeps it
		}
	}
	return ino, device, ino != 0 && device != ""
}
