package fstest

import (
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

// What is removed elsewhere between being found and being opened opens as it was found; what was found
// long before does not, so that a kernel looks what is there now.
func TestRemovedWhileBeingOpened(t *testing.T) {
	tt, d := one(t, setup{})
	other := newDevice(t, setup{n: 2})
	join(d, other)
	o := &T{T: t, Sys: Core(other.fs, self(), "")}
	replace := func(body string) {
		t.Helper()
		o.write("/new", body)
		tt.ok(o.Rename("/new", "/f", Replace))
		tt.ok(other.fs.Sync(bg))
		tt.ok(d.pull(other))
	}
	replace("one")
	a, err := d.fs.Lookup(bg, fs.RootIno, "f")
	tt.ok(err)
	replace("three")
	h, err := d.fs.Open(bg, a.Ino, fs.OpenFlags{Read: true})
	tt.ok(err)
	buf := make([]byte, 10)
	n, err := h.Read(bg, 0, buf)
	tt.ok(err)
	if got := string(buf[:n]); got != "one" {
		t.Errorf("read %q", got)
	}
	if now, err := d.fs.Getattr(bg, a.Ino); err != nil || now.Nlink != 0 || now.Size != 3 {
		t.Errorf("%+v, %v", now, err)
	}
	h.Close()

	b, err := d.fs.Lookup(bg, fs.RootIno, "f")
	tt.ok(err)
	d.pass(time.Minute)
	replace("fifteen")
	for _, i := range []fs.Ino{a.Ino, b.Ino} {
		if _, err := d.fs.Open(bg, i, fs.OpenFlags{Read: true}); !errs.Is(err, errs.Stale) {
			t.Errorf("found a minute ago: %v", err)
		}
		d.fs.Forget(i, 1)
	}
	tt.holds("/f", "fifteen")

	c, err := d.fs.Lookup(bg, fs.RootIno, "f")
	tt.ok(err)
	d.pass(-time.Hour) // the clock was put back: it is not known when that was
	replace("four")
	if _, err := d.fs.Open(bg, c.Ino, fs.OpenFlags{Read: true}); !errs.Is(err, errs.Stale) {
		t.Errorf("found before the clock was put back: %v", err)
	}
	d.fs.Forget(c.Ino, 1)
}

// What was found, and is removed here while nobody has it open, keeps its extended attributes for who holds its
// place.
func TestFoundAndRemoved(t *testing.T) {
	tt, d := one(t, setup{})
	for name, remove := range map[string]func() error{
		"f": func() error { return tt.Unlink("/f") },
		"r": func() error { tt.write("/new", "another"); return tt.Rename("/new", "/r", Replace) },
		"d": func() error { return tt.Rmdir("/d") },
	} {
		if name == "d" {
			tt.mkdir("/d")
		} else {
			tt.write("/"+name, "bytes")
		}
		tt.ok(tt.Setxattr("/"+name, "user.a", []byte("value"), 0))
		tt.ok(d.fs.Sync(bg))
		a, err := d.fs.Lookup(bg, fs.RootIno, name)
		tt.ok(err)
		tt.ok(remove())
		if v, err := d.fs.Getxattr(bg, a.Ino, "user.a"); string(v) != "value" || err != nil {
			t.Errorf("%s: %q, %v", name, v, err)
		}
		d.fs.Forget(a.Ino, 1)
	}
}
