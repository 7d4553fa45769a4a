package fstest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/paths"
	"github.com/shelffs/shelf/internal/namespace"
)

// users hears what is used.
type users struct {
	mu   sync.Mutex
	uses []uint32 // by PID
	ids  map[namespace.NodeID]bool
}

func (w *users) Used(r fs.Reader, id namespace.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.uses = append(w.uses, r.PID)
	w.ids[id] = true
}

func (w *users) take() (uses []uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	uses, w.uses = w.uses, nil
	return uses
}

// A use is told once for each open, with its first read or write, in the name of who opened it. Opening alone is one
// where the kernel may have the bytes; looking at attributes never is.
func TestUsesAreTold(t *testing.T) {
	w := &users{ids: map[namespace.NodeID]bool{}}
	d := newDevice(t, setup{n: 1, wrap: func(c *fs.Config) { c.Uses = w }})
	sys := Core(d.fs, fs.Caller{}, "")
	check := func(what string, want ...uint32) {
		t.Helper()
		if got := w.take(); !slices.Equal(got, want) {
			t.Errorf("%s: used by %v, want %v", what, got, want)
		}
	}
	by := func(pid uint32) context.Context { return fs.WithReader(bg, fs.Reader{PID: pid}) }
	open := func(ctx context.Context, fl fs.OpenFlags) (h *fs.Handle) {
		t.Helper()
		if err := paths.Walk(bg, d.fs, "file", func(i fs.Ino, _ fs.Attr) (err error) { h, err = d.fs.Open(ctx, i, fl); return err }); err != nil {
			t.Fatal(err)
		}
		return h
	}
	_, h, err := d.fs.Create(by(5), fs.Caller{}, fs.RootIno, "file", 0o644, fs.OpenFlags{Read: true, Write: true}, true)
	if err != nil {
		t.Fatal(err)
	}
	check("made")
	for range 3 {
		if _, err := h.WriteAt(bg, 0, []byte("some bytes"), fs.WriteFlags{}); err != nil {
			t.Fatal(err)
		}
	}
	check("written three times", 5)
	h.Close()
	open(by(6), fs.OpenFlags{Read: true, Write: true}).Close()
	check("merely opened")
	if _, err := sys.Lstat("file"); err != nil {
		t.Fatal(err)
	}
	check("looked at")
	h = open(by(7), fs.OpenFlags{Read: true})
	for range 3 {
		if _, err := h.Read(by(8), 0, make([]byte, 4)); err != nil { // a thread of it, or the kernel
			t.Fatal(err)
		}
	}
	check("read three times", 7)
	open(by(9), fs.OpenFlags{Read: true}).Close()
	check("opened, and read before", 9)
	h.Close()
	if len(w.ids) != 1 {
		t.Errorf("%d files", len(w.ids))
	}
}
