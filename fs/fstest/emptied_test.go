package fstest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
)

// sizes are those of the versions committed since the last call, in order.
func (r *recorder) sizes() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.committed
	r.committed = nil
	return s
}

// emptied is a recorder over a device whose file /a was saved with some text, and is open again, cut to
// nothing and flushed once: what a shell does first for `echo … > a`.
func emptied(t *testing.T, l fs.Limits) (*T, *recorder, *device, *fs.Handle) {
	t.Helper()
	r := &recorder{}
	tt, d := one(t, setup{wrap: record(r), limits: l})
	tt.write("/a", "what was there")
	tt.ok(d.fs.Sync(bg))
	a, err := d.fs.Lookup(bg, fs.RootIno, "a")
	tt.ok(err)
	r.sizes()
	h, err := d.fs.Open(bg, a.Ino, fs.OpenFlags{Write: true, Truncate: true})
	tt.ok(err)
	tt.ok(h.Flush(bg))
	return tt, r, d, h
}

func TestRedirectionShowsNoEmptyFile(t *testing.T) {
	tt, r, d, h := emptied(t, fs.Limits{Quiet: time.Hour})
	time.Sleep(30 * time.Millisecond) // for a save that must not be under way
	_, err := h.WriteAt(bg, 0, []byte("new"), fs.WriteFlags{})
	tt.ok(err)
	tt.ok(h.Flush(bg))
	eventually(t, "saved", func() bool { return d.fs.Stats().UnsavedFiles == 0 })
	h.Close()
	if got := r.sizes(); !slices.Equal(got, []uint64{3}) {
		t.Errorf("versions of %v bytes were committed, want one of 3", got)
	}
	tt.holds("/a", "new")
}

// Whatever else would save a file saves an emptied one, too.
func TestEmptiedFileIsSaved(t *testing.T) {
	for name, do := range map[string]func(*device, *fs.Handle) error{
		"close": func(_ *device, h *fs.Handle) error { h.Close(); return nil },
		"fsync": func(_ *device, h *fs.Handle) error { return h.Sync(context.Background()) },
		"sync":  func(d *device, _ *fs.Handle) error { return d.fs.Sync(context.Background()) },
		"quiet": func(*device, *fs.Handle) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			l := fs.Limits{Quiet: time.Hour}
			if name == "quiet" {
				l.Quiet = 20 * time.Millisecond
			}
			tt, r, d, h := emptied(t, l)
			defer h.Close()
			tt.ok(do(d, h))
			eventually(t, "saved", func() bool { return d.fs.Stats().UnsavedFiles == 0 })
			if got := r.sizes(); !slices.Equal(got, []uint64{0}) {
				t.Errorf("versions of %v bytes were committed, want one of 0", got)
			}
		})
	}
}

// The file is emptied while an earlier version of it is being saved and a further one waits.
func TestRedirectionsInARow(t *testing.T) {
	r := &recorder{}
	tt, d := one(t, setup{wrap: record(r), limits: fs.Limits{Quiet: time.Hour}})
	r.slow["store.Sync"] = 5 * time.Millisecond
	for i := range 40 {
		f := tt.open("/a", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		time.Sleep(time.Duration(i%8) * time.Millisecond)
		tt.pwrite(f, 0, fmt.Appendf(nil, "%02d", i))
		tt.ok(f.Close())
	}
	tt.ok(d.fs.Sync(bg))
	if got := r.sizes(); len(got) == 0 || slices.Contains(got, 0) {
		t.Errorf("versions of %v bytes were committed", got)
	}
	tt.holds("/a", "39")
}
