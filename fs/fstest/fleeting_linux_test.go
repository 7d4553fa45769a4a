package fstest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/namespace"
)

// fleeting has the other device replace a file whenever the mounted one has found it by its name.
type fleeting struct {
	fs.Namespace
	name string
	s    *server
}

func (f *fleeting) Lookup(dir namespace.NodeID, name string) (namespace.Entry, error) {
	e, err := f.Namespace.Lookup(dir, name)
	if err == nil && name == f.name {
		err = f.replace()
	}
	return e, err
}

func (f *fleeting) replace() error {
	other, there := Core(f.s.there.fs, self(), ""), "/"+f.name
	file, err := other.Open(there+".new", os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Pwrite([]byte("another"), 0)
	err = errors.Join(err, file.Close(), other.Rename(there+".new", there, Replace), f.s.there.fs.Sync(context.Background()))
	return errors.Join(err, f.s.here.pull(f.s.there))
}

// The kernel looks a name up once more when what it found is gone at open, and no more than once.
func TestReplacedWhileBeingOpened(t *testing.T) {
	c := mountedWith(t, t.TempDir(), alias.Exact, fleetingEnv+"=f")
	c.ask("write", "/f", "another")
	c.ask("push")
	name := filepath.Join(c.mnt, "f")
	for range 20 {
		if got := cat(name)(); got != "another" {
			t.Fatal(got)
		}
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
	}
}
