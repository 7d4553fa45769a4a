//go:build darwin || freebsd

package fusefs

import (
	"log/slog"
	"os/exec"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// echo is for Linux.
type echo struct{}

func newEcho(*fs.FS, string, func() *exec.Cmd, *slog.Logger) *echo { return nil }

func (*echo) watching() bool                                        { return false }
func (*echo) tell(fs.Event)                                         {}
func (*echo) quiet(fn func() error) error                           { return fn() }
func (*echo) stop()                                                 {}
func (*echo) from(*fuse.InHeader) *fs.Event                         { return nil }
func (*echo) of(*fuse.InHeader, string, fs.EventKind) bool          { return false }
func (*raw) lookupEcho(*fuse.InHeader, string, *fuse.EntryOut) bool { return false }

func (*raw) appeared(<-chan struct{}, *fuse.InHeader, string, namespace.Kind, *fuse.EntryOut) error {
	return errs.E("fusefs.echo", errs.Unsupported, "", nil)
}

func (*raw) vanished(<-chan struct{}, *fuse.InHeader, string) fuse.Status { return fuse.ENOSYS }
