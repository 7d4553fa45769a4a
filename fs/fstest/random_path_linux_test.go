package fstest

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

var renameFlags = map[string]int{"REPLACE": 0, "NOREPLACE": unix.RENAME_NOREPLACE, "EXCHANGE": unix.RENAME_EXCHANGE}

var xattrFlags = map[string]int{"ANY": 0, "CREATE": XattrCreate, "REPLACE": XattrReplace}

// pathActs are the operations on names.
var pathActs = []act{
	{"stat", 6, "p", func(s *side, a args) string { return "" }},
	{"truncate", 6, "po", func(s *side, a args) string {
		return said(again(func() error { return unix.Truncate(a.path(0), a.num(1)) }))
	}},
	{"chmod", 5, "pM", func(s *side, a args) string { return said(unix.Chmod(a.path(0), a.mode(1))) }},
	{"chown", 3, "puu", func(s *side, a args) string {
		if a.num(1) < 0 && a.num(2) < 0 {
			return "left out" // it drops set-id bits, and the kernel tells no FUSE filesystem
		}
		return said(unix.Lchown(a.path(0), a.size(1), a.size(2)))
	}},
	{"utimens", 6, "ptt", func(s *side, a args) string { return setTimes(a.path(0), unix.AT_SYMLINK_NOFOLLOW, a) }},
	{"setxattr", 5, "pnxlc", func(s *side, a args) string {
		return said(unix.Lsetxattr(a.path(0), a.words[1], random(a.num(2), a.size(3)%200), a.flags(4, xattrFlags)))
	}},
	{"getxattr", 4, "pn", func(s *side, a args) string {
		v, err := OS("").Getxattr(a.path(0), a.words[1])
		return said(err, len(v), sum(v))
	}},
	{"listxattr", 3, "p", func(s *side, a args) string { return xattrs(a.path(0)) }},
	{"removexattr", 3, "pn", func(s *side, a args) string { return said(unix.Lremovexattr(a.path(0), a.words[1])) }},
	{"mkdir", 12, "pM", func(s *side, a args) string { return said(unix.Mkdir(a.path(0), a.mode(1))) }},
	{"rmdir", 5, "p", func(s *side, a args) string { return said(unix.Rmdir(a.path(0))) }},
	{"unlink", 10, "p", func(s *side, a args) string { return said(unix.Unlink(a.path(0))) }},
	{"link", 8, "pp", func(s *side, a args) string { return said(unix.Link(a.path(0), a.path(1))) }},
	{"symlink", 5, "lp", func(s *side, a args) string {
		targets := []string{"a", "b", "d", "d/a", "e/b", "nowhere", "."}
		return said(unix.Symlink(targets[a.size(0)%len(targets)], a.path(1)))
	}},
	{"readlink", 3, "p", func(s *side, a args) string {
		to, err := OS("").Readlink(a.path(0))
		return said(err, to)
	}},
	{"rename", 20, "ppr", func(s *side, a args) string {
		return said(again(func() error {
			return unix.Renameat2(unix.AT_FDCWD, a.path(0), unix.AT_FDCWD, a.path(1), uint(a.flags(2, renameFlags)))
		}))
	}},
	{"mkfifo", 2, "pM", func(s *side, a args) string { return said(unix.Mkfifo(a.path(0), a.mode(1))) }},
	{"list", 8, "p", func(s *side, a args) string { return list(a.path(0)) }},
	{"statfs", 1, "p", func(s *side, a args) string {
		var st unix.Statfs_t
		err := unix.Statfs(a.path(0), &st)
		return said(err, st.Namelen)
	}},
}

// setTimes sets the times of operands 1 and 2, and shows them both.
func setTimes(path string, how int, a args) string {
	var ts [2]unix.Timespec
	for i := range ts {
		switch w := a.words[1+i]; w {
		case "NOW":
			ts[i].Nsec = unix.UTIME_NOW
		case "OMIT":
			ts[i].Nsec = unix.UTIME_OMIT
		default:
			ts[i] = nsec(a.num(1 + i))
		}
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, ts[:], how); err != nil {
		return said(err)
	}
	var st unix.Stat_t
	err := unix.Fstatat(unix.AT_FDCWD, path, &st, how)
	// fs/DEVIATIONS.md: reading does not move the access time, and a path may lead through the symlink itself.
	if a.words[1] == "OMIT" || st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return said(err)
	}
	return said(err, "atime", moment(st.Atim.Sec, uint32(st.Atim.Nsec)))
}

// list reads a directory in small pieces, goes back to the middle and reads the rest once more: each
// name must come once in either pass.
func list(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return said(err)
	}
	defer unix.Close(fd)
	var names, rest []string
	middle := int64(0)
	for pass, into := range []*[]string{&names, &rest} {
		if pass == 1 {
			if _, err := unix.Seek(fd, middle, unix.SEEK_SET); err != nil {
				return said(err)
			}
		}
		for {
			buf := make([]byte, 640) // holds the longest name, and some of the usual ones
			n, err := unix.Getdents(fd, buf)
			if err != nil {
				return said(err)
			}
			if n == 0 {
				break
			}
			_, _, *into = unix.ParseDirent(buf[:n], -1, *into)
			if pass == 0 && middle == 0 {
				if middle, err = unix.Seek(fd, 0, unix.SEEK_CUR); err != nil {
					return said(err)
				}
				names = append(names, "|")
			}
		}
	}
	if at := slices.Index(names, "|"); at >= 0 {
		if want := names[at+1:]; !slices.Equal(want, rest) {
			return fmt.Sprintf("from the middle %q, before %q", rest, want)
		}
		names = slices.Delete(names, at, at+1)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}
