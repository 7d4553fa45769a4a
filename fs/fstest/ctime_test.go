package fstest

import (
	"os"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/namespace"
)

// amid has a file saved while another change of it is made, and ordered after it where that can be.
type amid struct {
	fs.Namespace
	save        func() error
	begun, made chan struct{}
	saved       chan error
}

func (a *amid) change() {
	a.begun, a.made, a.saved = make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { a.saved <- a.save() }()
	wait(a.begun)
}

func wait(c <-chan struct{}) {
	select {
	case <-c:
	case <-time.After(100 * time.Millisecond):
	}
}

func (a *amid) SetXattr(id namespace.NodeID, name string, value []byte, f namespace.XattrFlag) error {
	a.change()
	defer close(a.made)
	return a.Namespace.SetXattr(id, name, value, f)
}

func (a *amid) Link(id, dir namespace.NodeID, name string) (namespace.Entry, error) {
	a.change()
	defer close(a.made)
	return a.Namespace.Link(id, dir, name)
}

func (a *amid) Rename(sd namespace.NodeID, src string, dd namespace.NodeID, dst string, f namespace.RenameFlag) (namespace.Entry, *namespace.Entry, error) {
	a.change()
	defer close(a.made)
	return a.Namespace.Rename(sd, src, dd, dst, f)
}

func (a *amid) Commit(id namespace.NodeID, base []namespace.Dot, c blocks.Content, mtime int64, also ...namespace.Also) (namespace.Entry, error) {
	close(a.begun)
	wait(a.made)
	return a.Namespace.Commit(id, base, c, mtime, also...)
}

// A save in the background does not take back that a ctime moved.
func TestCtimeMovesAmidASave(t *testing.T) {
	for name, change := range map[string]func(t *T) error{
		"setxattr": func(t *T) error { return t.Setxattr("/f", "user.a", []byte("b"), 0) },
		"link":     func(t *T) error { return t.Link("/f", "/g") },
		"rename":   func(t *T) error { return t.Rename("/f", "/g", Replace) },
		"exchange": func(t *T) error { return t.Rename("/f", "/d", Exchange) },
	} {
		var a amid
		tt, d := one(t, setup{wrap: func(c *fs.Config) { a.Namespace, c.Names = c.Names, &a }})
		a.save = func() error { return d.fs.Sync(bg) }
		tt.mkdir("/d")
		f := tt.open("/f", os.O_RDWR|os.O_CREATE)
		tt.pwrite(f, 0, []byte("bytes"))
		before := tt.stat("/f")
		time.Sleep(5 * time.Millisecond)
		tt.ok(change(tt))
		tt.ok(<-a.saved)
		if now, err := f.Stat(); err != nil || now.Ctime <= before.Ctime || now.Mtime != before.Mtime {
			t.Errorf("%s: %+v, before %+v", name, now, before)
		}
	}
}
