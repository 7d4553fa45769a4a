package mounthelper

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// answerTime is how long a mounted filesystem may take to answer a stat of its root
// before it counts as Hung.
const answerTime = 2 * time.Second

// mount is one line of /proc/self/mountinfo.
type mount struct {
	dev    string // "major:minor"
	path   string
	fsType string
}

// Look says what lies at the absolute path p. It never hangs: the question is put to
// the filesystem there in a goroutine of its own, with a deadline.
func Look(ctx context.Context, p string) (State, error) {
	m, err := mountAt(p)
	if err != nil || m == nil {
		return Free, err
	}
	if m.fsType != "fuse."+Type {
		return Other, nil
	}
	answer := make(chan error, 1)
	go func() {
		var st unix.Statfs_t // stat may be answered from the kernel's cache, long after the daemon died
		answer <- unix.Statfs(p, &st)
	}()
	select {
	case err := <-answer:
		if errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED) {
			return Stale, nil
		}
		return Live, nil
	case <-time.After(answerTime):
		return Hung, nil
	case <-ctx.Done():
		return Hung, ctx.Err()
	}
}

// Device is the device number, "major:minor", under which the kernel lists what is mounted
// at p; empty if nothing is.
func Device(p string) string {
	m, err := mountAt(p)
	if err != nil || m == nil {
		return ""
	}
	return m.dev
}

// mountAt finds what is mounted exactly at p, the topmost if several are; nil if nothing is.
func mountAt(p string) (*mount, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found *mount
	for _, m := range parseMountInfo(b) {
		if m.path == p {
			found = &m
		}
	}
	return found, nil
}

// parseMountInfo reads the format of proc(5), mountinfo: "36 35 98:0 /root /mnt rw … - type source options".
func parseMountInfo(b []byte) []mount {
	var out []mount
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		left, right, ok := strings.Cut(sc.Text(), " - ")
		f, t := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 5 || len(t) < 1 {
			continue
		}
		out = append(out, mount{dev: f[2], path: unescape(f[4]), fsType: t[0]})
	}
	return out
}

// unescape undoes the \ooo form in which the kernel writes blanks, tabs, newlines and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
