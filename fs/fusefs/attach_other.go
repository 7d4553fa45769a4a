//go:build darwin || freebsd

package fusefs

import (
	"context"
	"errors"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func attach(_ context.Context, r *raw, dir string, m *fuse.MountOptions) (*fuse.Server, error) {
	return fuse.NewServer(r, dir, m)
}

func settle(string) {}

func connection(string) string { return "" }

func abort(string) error { return errors.ErrUnsupported }
