package fstest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// began tells times that somebody set from those of the clock.
var began = time.Now()

// look shows what stat tells, as the kernel remembers it and, if that differs, as the filesystem says.
func (s *side) look(fd int, path string) string {
	known, err := s.stat(fd, path, 0)
	if err != nil {
		return said(err)
	}
	if asked, err := s.stat(fd, path, unix.AT_STATX_FORCE_SYNC); err != nil || asked != known {
		return fmt.Sprint(known, " asked: ", asked, " ", said(err))
	}
	return known
}

func (s *side) stat(fd int, path string, how int) (string, error) {
	how |= unix.AT_SYMLINK_NOFOLLOW
	if path == "" {
		how |= unix.AT_EMPTY_PATH
	}
	var st unix.Statx_t
	if err := again(func() error { return unix.Statx(fd, path, how, unix.STATX_BASIC_STATS, &st) }); err != nil {
		return "", err
	}
	links, size := fmt.Sprint(st.Nlink), fmt.Sprint(st.Size)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR { // fs/DEVIATIONS.md: directories have one link
		links, size = "-", "-"
	}
	when := moment(st.Mtime.Sec, st.Mtime.Nsec)
	if s.stored[st.Ino] || st.Mode&unix.S_IFMT == unix.S_IFIFO { // fs/DEVIATIONS.md: who writes to a pipe does not move its times
		when = "?"
	}
	return fmt.Sprintf("%o links %s owner %d:%d size %s mtime %s", st.Mode, links, st.Uid, st.Gid, size, when), nil
}

// moment shows a time that somebody set; one that the clock gave is now.
func moment(sec int64, nsec uint32) string {
	if sec >= began.Unix()-1 && sec < began.Unix()+24*3600 {
		return "now"
	}
	return fmt.Sprintf("%d.%09d", sec, nsec)
}

// tree shows everything below the root, a line for each name.
func (s *side) tree() ([]string, error) {
	var out []string
	first := map[uint64]string{} // of the names of an inode
	err := filepath.WalkDir(s.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == s.root {
			return err
		}
		line := s.inRoot(p) + " " + s.look(unix.AT_FDCWD, p) + " " + xattrs(p)
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		if name, ok := first[st.Ino]; ok {
			line += " is " + name
		} else {
			first[st.Ino] = s.inRoot(p)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d bytes %x", len(b), sum(b))
		case unix.S_IFLNK:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " to " + to
		}
		out = append(out, line)
		return nil
	})
	return out, err
}

// xattrs shows all extended attributes in order.
func xattrs(p string) string {
	names, err := OS("").Listxattr(p)
	if err != nil {
		return said(err)
	}
	slices.Sort(names)
	var out []string
	for _, n := range names {
		v, err := OS("").Getxattr(p, n)
		out = append(out, fmt.Sprintf("%s=%x,%s", n, sum(v), said(err)))
	}
	return "[" + strings.Join(out, ";") + "]"
}

// differences are the lines in which two trees differ.
func differences(here, there *side) []string {
	x, err := here.tree()
	y, err2 := there.tree()
	var out []string
	if err != nil || err2 != nil {
		out = append(out, fmt.Sprint("mount: ", err, ", oracle: ", err2))
	}
	for i := range max(len(x), len(y)) {
		if i >= len(x) || i >= len(y) {
			return append(out, fmt.Sprintf("mount %q\noracle %q", x[min(i, len(x)):], y[min(i, len(y)):]))
		}
		if !agree(x[i], y[i]) {
			out = append(out, "mount  "+x[i]+"\noracle "+y[i])
		}
	}
	return out
}
