package mounthelper

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holders lists the processes that keep the mount at dir busy, as far as this user may
// look into them. It reads /proc only and asks nothing of the mount, so that it works
// on one that hangs.
func Holders(dir string) []Holder {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []Holder
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		if h, ok := holderOf(pid, dir); ok {
			out = append(out, h)
		}
	}
	return out
}

func holderOf(pid int, dir string) (Holder, bool) {
	base := filepath.Join("/proc", strconv.Itoa(pid))
	h := Holder{PID: pid}
	for _, l := range []struct{ link, how string }{{"cwd", "working directory"}, {"root", "root directory"}, {"exe", "running program"}} {
		if t, err := os.Readlink(filepath.Join(base, l.link)); err == nil && within(t, dir) {
			h.How, h.Path = l.how, t
		}
	}
	if h.Path == "" {
		fds, _ := os.ReadDir(filepath.Join(base, "fd"))
		for _, fd := range fds {
			if t, err := os.Readlink(filepath.Join(base, "fd", fd.Name())); err == nil && within(t, dir) {
				h.How, h.Path = "open file", t
				break
			}
		}
	}
	if h.Path == "" {
		if m := mapped(filepath.Join(base, "maps"), dir); m != "" {
			h.How, h.Path = "mapped file", m
		}
	}
	if h.Path == "" {
		return Holder{}, false
	}
	b, _ := os.ReadFile(filepath.Join(base, "comm"))
	h.Command = strings.TrimSpace(string(b))
	return h, true
}

// mapped finds a file under dir in a process's memory map: "… offset dev inode   /path".
func mapped(maps, dir string) string {
	b, err := os.ReadFile(maps)
	if err != nil || !bytes.Contains(b, []byte(dir)) {
		return ""
	}
	for _, line := range strings.Split(string(b), "\n") {
		if i := strings.IndexByte(line, '/'); i >= 0 && within(line[i:], dir) {
			return line[i:]
		}
	}
	return ""
}

func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// servedBySomebody reports whether any other process has /dev/fuse open: then a mount
// that hangs may still have its daemon, and is not for us to pull away.
func servedBySomebody(string) bool {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return true
	}
	for _, p := range procs {
		if _, err := strconv.Atoi(p.Name()); err != nil || p.Name() == strconv.Itoa(os.Getpid()) {
			continue
		}
		fds, _ := os.ReadDir(filepath.Join("/proc", p.Name(), "fd"))
		for _, fd := range fds {
			if t, err := os.Readlink(filepath.Join("/proc", p.Name(), "fd", fd.Name())); err == nil && t == "/dev/fuse" {
				return true
			}
		}
	}
	return false
}
