package cache

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func datasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func punch(f *os.File, off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return errPunch{}
		default:
			return err
		}
	}
}

// dontCache is RWF_DONTCACHE of linux/fs.h, since Linux 6.14, which the package unix does not have yet.
const dontCache = 0x80

func writeBoth(f *os.File, a, b []byte, off int64, once bool) error {
	flags := 0
	if once {
		flags = dontCache
	}
	for len(a)+len(b) > 0 {
		n, err := unix.Pwritev2(int(f.Fd()), [][]byte{a, b}, off, flags)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL): // the last before 4.13
			return errors.ErrUnsupported
		case err != nil:
			return &fs.PathError{Op: "write", Path: f.Name(), Err: err}
		case n == 0:
			return io.ErrShortWrite
		}
		ofA := min(n, len(a))
		a, b, off = a[ofA:], b[n-ofA:], off+int64(n)
	}
	return nil
}

func nextData(f *os.File, off int64) int64 {
	switch at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA); {
	case err == nil:
		return at
	case errors.Is(err, unix.ENXIO):
		return math.MaxInt64
	}
	return off
}

func soon(f *os.File, off, n int64) {
	_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_WILLNEED)
}

func allocated(st fs.FileInfo) int64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return st.Size()
}
