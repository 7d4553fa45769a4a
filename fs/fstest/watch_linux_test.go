package fstest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watcher is a program that watches folders or files by inotify.
type watcher struct {
	t  *testing.T
	fd int
}

func watch(t *testing.T, paths ...string) *watcher {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for _, p := range paths {
		if _, err := unix.InotifyAddWatch(fd, p, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MODIFY|unix.IN_ATTRIB|unix.IN_CLOSE_WRITE|unix.IN_DELETE_SELF); err != nil {
			t.Fatal(err)
		}
	}
	return &watcher{t, fd}
}

// hears waits until all events were heard that are wanted; each is "what name". It returns all.
func (w *watcher) hears(want ...string) (all []string) {
	w.t.Helper()
	missing := slices.Clone(want)
	for end := time.Now().Add(10 * time.Second); len(missing) > 0; {
		if time.Now().After(end) {
			w.t.Fatalf("not heard: %q; but %q", missing, all)
		}
		all = append(all, w.now()...)
		missing = slices.DeleteFunc(missing, func(e string) bool { return slices.Contains(all, e) })
		time.Sleep(time.Millisecond)
	}
	return all
}

// noticed waits until the one who serves the mount has seen that somebody watches dir, which may take a
// moment: something is written there until it is heard.
func (w *watcher) noticed(c *child, dir string) {
	w.t.Helper()
	for i := range 1000 {
		c.ask("write", dir+"/probe", fmt.Sprint(i))
		c.ask("push")
		for range 10 {
			if len(w.now()) > 0 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	w.t.Fatal("nothing is heard")
}

// now reads what there is.
func (w *watcher) now() (all []string) {
	buf := make([]byte, 64<<10)
	n, err := unix.Read(w.fd, buf)
	if err == unix.EAGAIN {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for b := buf[:n]; len(b) > 0; {
		mask, size := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[12:])
		name := string(bytes.TrimRight(b[16:16+size], "\x00"))
		all = append(all, strings.TrimSpace(heard(mask)+" "+name))
		b = b[16+size:]
	}
	return all
}

func heard(mask uint32) string {
	for bit, s := range map[uint32]string{unix.IN_CREATE: "create", unix.IN_DELETE: "delete", unix.IN_MODIFY: "modify",
		unix.IN_ATTRIB: "attrib", unix.IN_CLOSE_WRITE: "written", unix.IN_DELETE_SELF: "gone", unix.IN_IGNORED: "ignored"} {
		if mask&bit != 0 {
			if mask&unix.IN_ISDIR != 0 {
				return s + "/"
			}
			return s
		}
	}
	return fmt.Sprintf("%#x", mask)
}

// Programs that watch a folder hear of what other devices change there.
func TestWatch(t *testing.T) {
	c := mounted(t)
	c.ask("mkdir", "/dir")
	c.ask("mkdir", "/dir/old")
	c.ask("mkdir", "/aside")
	c.ask("write", "/dir/kept", "one")
	c.ask("write", "/dir/doomed", "x")
	c.ask("write", "/dir/moved", "m")
	c.ask("push")
	dir := filepath.Join(c.mnt, "dir")
	soon(t, "one", cat(filepath.Join(dir, "kept")))
	w := watch(t, dir)
	w.noticed(c, "/dir")

	remote := func(args ...string) {
		t.Helper()
		c.ask(args...)
		c.ask("push")
	}
	remote("write", "/dir/new", "hello")
	w.hears("create new", "modify new", "written new")
	soon(t, "hello", cat(filepath.Join(dir, "new")))
	remote("mkdir", "/dir/sub")
	w.hears("create/ sub")
	remote("write", "/dir/kept", "two two")
	w.hears("modify kept", "written kept")
	soon(t, "two two", cat(filepath.Join(dir, "kept")))
	remote("chmod", "/dir/kept")
	w.hears("attrib kept")
	remote("unlink", "/dir/doomed") // which was never looked at here
	w.hears("delete doomed")
	remote("rmdir", "/dir/old")
	w.hears("delete/ old")
	remote("rename", "/dir/moved", "/dir/elsewhere")
	w.hears("delete moved", "create elsewhere")
	soon(t, "m", cat(filepath.Join(dir, "elsewhere")))

	// What was repeated for the kernel has changed nothing.
	for dir, want := range map[string]string{"/dir": "[elsewhere kept new probe sub]", "/": "[aside dir]"} {
		if there, here := c.ask("ls", dir), names(filepath.Join(c.mnt, dir)); there != want || here != want {
			t.Errorf("%s: there %s, here %s, want %s", dir, there, here, want)
		}
	}
	if got := c.ask("read", "/dir/kept"); got != "two two" {
		t.Errorf("kept is now %q", got)
	}
	before := c.ask("foreign")
	c.ask("fetch")
	if got := c.ask("read", "/dir/new"); got != "hello" || c.ask("foreign") != before {
		t.Errorf("new is %q there; changes %s, then %s", got, before, c.ask("foreign"))
	}
}

// A file that is watched itself.
func TestWatchFile(t *testing.T) {
	c := mounted(t)
	c.ask("write", "/log", "1")
	c.ask("push")
	path := filepath.Join(c.mnt, "log")
	soon(t, "1", cat(path))
	w := watch(t, path, c.mnt)
	w.noticed(c, "/")
	c.ask("write", "/log", "1 2")
	c.ask("push")
	w.hears("modify", "written")
	soon(t, "1 2", cat(path))
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	c.ask("unlink", "/log")
	c.ask("push")
	w.hears("gone")
}

// A program that watches here hears once of what is done here.
func TestWatchOwnChanges(t *testing.T) {
	c := mounted(t)
	w := watch(t, c.mnt)
	w.noticed(c, "/")
	sh(t, c.mnt, "echo a > f")
	w.hears("create f", "modify f", "written f")
	c.ask("fetch")
	c.ask("write", "/g", "b")
	c.ask("push")
	for _, e := range w.hears("written g") {
		if strings.HasSuffix(e, " f") {
			t.Errorf("heard once more: %s", e)
		}
	}
}
