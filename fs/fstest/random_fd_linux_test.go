package fstest

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var openFlags = map[string]int{
	"RDONLY": unix.O_RDONLY, "WRONLY": unix.O_WRONLY, "RDWR": unix.O_RDWR, "CREAT": unix.O_CREAT, "EXCL": unix.O_EXCL,
	"TRUNC": unix.O_TRUNC, "APPEND": unix.O_APPEND, "DIRECTORY": unix.O_DIRECTORY, "NOFOLLOW": unix.O_NOFOLLOW,
	"SYNC": unix.O_SYNC, "DSYNC": unix.O_DSYNC, "DIRECT": unix.O_DIRECT, "TMPFILE": unix.O_TMPFILE, "PATH": unix.O_PATH,
}

var allocateModes = map[string]int{
	"ALLOCATE": 0, "KEEP": KeepSize, "PUNCH": PunchHole | KeepSize, "ZERO": ZeroRange, "ZERO_KEEP": ZeroRange | KeepSize,
}

var whences = map[string]int{"SET": unix.SEEK_SET, "CUR": unix.SEEK_CUR, "END": unix.SEEK_END}

var locks = map[string]int{"SH": unix.LOCK_SH, "EX": unix.LOCK_EX, "UN": unix.LOCK_UN}

// fdActs are the operations on what is open.
var fdActs = []act{
	{"open", 30, "spFM", func(s *side, a args) string { return s.open(a.size(0), a.path(1), a.flags(2, openFlags), a.mode(3)) }},
	{"reopen", 4, "sfF", func(s *side, a args) string {
		return s.open(a.size(0), fmt.Sprintf("/proc/self/fd/%d", a.fd(1)), a.flags(2, openFlags)&^(unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW), 0o644)
	}},
	{"close", 6, "s", func(s *side, a args) string { return s.release(a.size(0)) }},
	{"read", 8, "fl", func(s *side, a args) string {
		return moved(a.fd(0), -1, a.size(1), 0, func(bs [][]byte, _ int64) (int, error) { return unix.Readv(a.fd(0), bs) })
	}},
	{"pread", 20, "fol", func(s *side, a args) string {
		return moved(a.fd(0), a.num(1), a.size(2), 0, func(bs [][]byte, off int64) (int, error) { return unix.Preadv(a.fd(0), bs, off) })
	}},
	{"write", 10, "flx", func(s *side, a args) string {
		return moved(a.fd(0), -1, a.size(1), a.num(2), func(bs [][]byte, _ int64) (int, error) { return unix.Writev(a.fd(0), bs) })
	}},
	{"pwrite", 30, "folx", func(s *side, a args) string {
		return moved(a.fd(0), a.num(1), a.size(2), a.num(3), func(bs [][]byte, off int64) (int, error) { return unix.Pwritev(a.fd(0), bs, off) })
	}},
	{"ftruncate", 10, "fo", func(s *side, a args) string {
		return said(again(func() error { return unix.Ftruncate(a.fd(0), a.num(1)) }))
	}},
	{"fallocate", 16, "faol", func(s *side, a args) string {
		return said(again(func() error {
			return unix.Fallocate(a.fd(0), uint32(a.flags(1, allocateModes)), a.num(2), a.num(3))
		}))
	}},
	{"fsync", 4, "f", func(s *side, a args) string { return said(again(func() error { return unix.Fsync(a.fd(0)) })) }},
	{"fdatasync", 2, "f", func(s *side, a args) string { return said(again(func() error { return unix.Fdatasync(a.fd(0)) })) }},
	{"lseek", 6, "fow", func(s *side, a args) string {
		if _, ok := regular(a.fd(0)); !ok {
			return "left out" // positions in a directory are the filesystem's own
		}
		n, err := unix.Seek(a.fd(0), a.num(1), a.flags(2, whences))
		return said(err, n)
	}},
	{"data", 4, "fo", func(s *side, a args) string { return s.seek(a.fd(0), a.num(1), unix.SEEK_DATA) }},
	{"hole", 4, "fo", func(s *side, a args) string { return s.seek(a.fd(0), a.num(1), unix.SEEK_HOLE) }},
	{"copy", 8, "ffool", func(s *side, a args) string { return s.copy(a.fd(0), a.fd(1), a.num(2), a.num(3), a.size(4)) }},
	{"sendfile", 4, "ffol", func(s *side, a args) string { return s.sendfile(a.fd(0), a.fd(1), a.num(2), a.size(3)) }},
	{"flock", 3, "fk", func(s *side, a args) string {
		return said(again(func() error { return unix.Flock(a.fd(0), a.flags(1, locks)|unix.LOCK_NB) }))
	}},
	{"forget", 4, "f", func(s *side, a args) string { return said(unix.Fadvise(a.fd(0), 0, 0, unix.FADV_DONTNEED)) }},
	{"fchmod", 3, "fM", func(s *side, a args) string { return said(unix.Fchmod(a.fd(0), a.mode(1))) }},
	{"futimens", 3, "ftt", func(s *side, a args) string { return setTimes(fmt.Sprintf("/proc/self/fd/%d", a.fd(0)), 0, a) }},
	{"fsetxattr", 3, "fnxlc", func(s *side, a args) string {
		return said(unix.Fsetxattr(a.fd(0), a.words[1], random(a.num(2), a.size(3)%200), a.flags(4, xattrFlags)))
	}},
	{"fgetxattr", 3, "fn", func(s *side, a args) string {
		b := make([]byte, 1000)
		n, err := unix.Fgetxattr(a.fd(0), a.words[1], b)
		return said(err, n, sum(b[:max(n, 0)]))
	}},
	{"fremovexattr", 1, "fn", func(s *side, a args) string { return said(unix.Fremovexattr(a.fd(0), a.words[1])) }},
	{"flink", 4, "fp", func(s *side, a args) string {
		return said(unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", a.fd(0)), unix.AT_FDCWD, a.path(1), unix.AT_SYMLINK_FOLLOW))
	}},
	{"pause", 3, "", func(s *side, a args) string { time.Sleep(4 * time.Millisecond); return "" }}, // what is closed may be saved
}

// open fills a slot. Nothing waits for the other end of a pipe.
func (s *side) open(slot int, path string, flag int, mode uint32) string {
	s.release(slot)
	fd := -1
	err := again(func() (err error) {
		fd, err = unix.Open(path, flag|unix.O_CLOEXEC|unix.O_NONBLOCK, mode)
		return err
	})
	if err == nil {
		s.fds[slot] = fd
	}
	if err == unix.EPERM && flag&unix.O_TMPFILE == unix.O_TMPFILE {
		err = unix.ENOENT // so ext4 calls a removed directory, where nothing is to be made
	}
	return said(err)
}

func (s *side) release(slot int) string {
	fd := s.fds[slot]
	s.fds[slot] = -1
	return said(unix.Close(fd))
}

// moved reads (seed 0) or writes n bytes as two pieces and shows how many and, read, which ones.
// On a descriptor opened with O_DIRECT only whole pages at an offset are moved: all that ext4 takes.
func moved(fd int, off int64, n int, seed int64, call func(bs [][]byte, off int64) (int, error)) string {
	if direct(fd) {
		flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if off < 0 || flags&unix.O_APPEND != 0 {
			return "left out"
		}
		off, n = off&^4095, (n+4095)&^4095
	}
	b := pages(n)
	if seed != 0 {
		copy(b, random(seed, n))
	}
	half := n / 2 &^ 4095
	got := 0
	err := again(func() (err error) { got, err = call([][]byte{b[:half], b[half:]}, off); return })
	if seed != 0 || got < 0 {
		return said(err, got)
	}
	return said(err, got, sum(b[:got]))
}

func direct(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_DIRECT != 0
}

// pages is memory that begins at a page.
func pages(n int) []byte {
	b := make([]byte, n+4096)
	at := -int(uintptr(unsafe.Pointer(&b[0]))) & 4095
	return b[at : at+n]
}

// regular reports whether fd is a file with bytes, and its size.
func regular(fd int) (int64, bool) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Size, err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// seek checks the answer of SEEK_DATA and SEEK_HOLE against the bytes, for filesystems may see fewer and
// shorter holes than others. What is passed over as a hole must be zeros; a hole must begin with a zero or
// be the end. The position stays where it was.
func (s *side) seek(fd int, off int64, whence int) string {
	size, ok := regular(fd)
	was, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	if !ok || err != nil {
		return "left out"
	}
	at, err := unix.Seek(fd, off, whence)
	unix.Seek(fd, was, unix.SEEK_SET)
	if off >= size || err != nil && err != unix.ENXIO {
		return said(err, at)
	}
	from, to := off, at
	if err != nil {
		to = size
	}
	if whence == unix.SEEK_HOLE {
		if from, to = at, at+1; err != nil || at == size {
			return said(err)
		}
	}
	b := make([]byte, max(to-from, 0))
	if n, err := unix.Pread(fd, b, from); err == unix.EBADF { // not open to read
		return "ok"
	} else if err != nil || n < len(b) {
		return fmt.Sprintf("reading [%d, %d) of %d gives %d, %v", from, to, size, n, err)
	}
	for i, c := range b {
		if c != 0 {
			return fmt.Sprintf("byte %d, passed over as a hole, is %d: %d from %d", from+int64(i), c, at, off)
		}
	}
	return "ok"
}

// copy is copy_file_range until all is done, for it may do less at a time.
func (s *side) copy(from, to int, off, at int64, n int) string {
	if direct(from) || direct(to) {
		return "left out"
	}
	return inPieces(n, func(n int) (int, error) { return unix.CopyFileRange(from, &off, to, &at, n, 0) })
}

func (s *side) sendfile(from, to int, off int64, n int) string {
	if _, ok := regular(to); !ok || direct(from) || direct(to) {
		return "left out" // a pipe would take the pages themselves, and see them change
	}
	return inPieces(n, func(n int) (int, error) { return unix.Sendfile(to, from, &off, n) })
}

// inPieces copies up to n bytes by a call that may copy less at once.
func inPieces(n int, piece func(n int) (int, error)) string {
	done := 0
	for done < n {
		m := 0
		if err := again(func() (err error) { m, err = piece(n - done); return err }); err != nil {
			return said(err, done)
		}
		if m == 0 {
			break
		}
		done += m
	}
	return said(nil, done)
}
