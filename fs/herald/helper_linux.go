package herald

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"
)

// Help is the helper: it writes the number of its thread on a line, then makes the calls that it
// reads, and answers each with a line: how it ended. It ends with its input.
func Help(in io.Reader, out io.Writer) error {
	runtime.LockOSThread() // all calls come from the one thread
	defer runtime.UnlockOSThread()
	if _, err := fmt.Fprintln(out, unix.Gettid()); err != nil {
		return err
	}
	for d := json.NewDecoder(in); ; {
		var c Call
		if err := d.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, answer(c.make())); err != nil {
			return err
		}
	}
}

func answer(err error) string {
	if err != nil {
		return err.Error()
	}
	return "ok"
}

func (c *Call) make() error {
	switch c.Do {
	case Create:
		return c.create()
	case Remove:
		if c.Mode&unix.S_IFMT == unix.S_IFDIR {
			return unix.Rmdir(c.Path)
		}
		return unix.Unlink(c.Path)
	case Modify:
		if err := modify(c.Path, 0); err == nil {
			return nil
		} // it may be for reading only
		fallthrough
	default:
		var st unix.Stat_t
		if err := unix.Lstat(c.Path, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return err
		}
		return unix.Chmod(c.Path, st.Mode&0o7777)
	}
}

func (c *Call) create() error {
	switch c.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return modify(c.Path, unix.O_CREAT|unix.O_EXCL)
	case unix.S_IFDIR:
		return unix.Mkdir(c.Path, 0o700)
	case unix.S_IFLNK:
		return unix.Symlink(".", c.Path)
	}
	return unix.Mknod(c.Path, c.Mode&unix.S_IFMT|0o600, 0)
}

// modify is seen as a write. Unlike truncate(2), fallocate(2) waits for no page that is being read,
// which may have to come from afar.
func modify(path string, flags int) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|flags, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 1), unix.Close(fd))
}
