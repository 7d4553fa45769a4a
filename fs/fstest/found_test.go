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
