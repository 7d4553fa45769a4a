//go:build darwin || freebsd

package fusefs

import (
	"context"
	"errors"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
)

func attach(_ context.Context, r *raw, dir string, m *fuse.MountOptions) (*fuse.Server, *device, error) {
	srv, err := fuse.NewServer(r, dir, m)
	return srv, &device{srv}, err
}

// device says what only Linux has a call for in another way.
type device struct{ srv *fuse.Server }

func (d *device) expire(dir fs.Ino, name string) fuse.Status {
	return d.srv.EntryNotify(uint64(dir), name)
}

func (*device) close() {}

func settle(string) {}

func connection(string) string { return "" }

func abort(string) error { return errors.ErrUnsupported }
