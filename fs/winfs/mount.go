//go:build windows || cgofuse

package winfs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/winfsp/cgofuse/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

// Options of a mount.
type Options struct {
	FoldsCase bool // names count as the same whatever their case
}

// Server is a live mount.
type Server struct {
	dir  string
	fuse *fuse.FileSystemHost
	done chan struct{}
}

// mountTime is how long the driver may take.
const mountTime = 15 * time.Second

// Mount mounts core at a drive letter ("S:") or a folder that is not there yet, and serves it until
// Unmount. Unsupported: there is no WinFsp.
func Mount(ctx context.Context, at string, core *fs.FS, o Options) (*Server, error) {
	const op = "winfs.Mount"
	if err := ctx.Err(); err != nil {
		return nil, errs.E(op, errs.Other, at, err)
	}
	h := &host{Volume: New(core), ready: make(chan struct{})}
	s := &Server{dir: at, fuse: fuse.NewFileSystemHost(h), done: make(chan struct{})}
	s.fuse.SetCapCaseInsensitive(o.FoldsCase)
	s.fuse.SetCapReaddirPlus(true)
	s.fuse.SetUseIno(true)
	failed := make(chan error, 1)
	go func() {
		defer close(s.done)
		defer h.Close()
		failed <- run(s.fuse, at)
	}()
	select {
	case <-h.ready:
		return s, nil
	case err := <-failed:
		return nil, errs.E(op, errs.Unsupported, at, err)
	case <-time.After(mountTime):
		s.fuse.Unmount() // should it come all the same
		return nil, errs.E(op, errs.Timeout, at, nil)
	}
}

// run serves until the mount ends. cgofuse panics where there is no driver.
func run(f *fuse.FileSystemHost, at string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v: install it (winget install WinFsp.WinFsp)", r)
		}
	}()
	if !f.Mount(at, mountOptions()) {
		err = errors.New("the driver refused to mount there")
	}
	return err
}

// mountOptions: on Windows everything belongs to who mounts. What the driver keeps, it keeps for a
// second, for it hears of no changes.
func mountOptions() []string {
	if windows {
		return []string{"-o", "uid=-1,gid=-1,rellinks,volname=Shelf,FileInfoTimeout=1000"}
	}
	return []string{"-o", "default_permissions,use_ino,attr_timeout=0,entry_timeout=0,hard_remove"}
}

// Done is closed when the mount has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Unmount ends the mount. The driver does not tell who works in it: it goes all the same.
func (s *Server) Unmount(ctx context.Context, _ bool) error {
	s.fuse.Unmount()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return errs.E("winfs.Unmount", errs.Busy, s.dir, ctx.Err())
	}
}
