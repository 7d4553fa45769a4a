//go:build linux || darwin || freebsd

// Package fusefs serves an fs.FS to the kernel through FUSE. It translates requests and
// keeps the table of open handles; what a filesystem means is in package fs.
//
// The raw API of go-fuse is used: no state per inode beside that of fs, and no lock of
// the library's around an operation. Data, names and listings stay in the kernel's caches until fs
// says that they changed elsewhere. Write-back caching is left off: with it the kernel
// trusts its own idea of a file's size, and a size changed on another device would never
// show. The process that serves a mount must not use it.
package fusefs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/mounthelper"
)

// Options of a mount. The zero value is what a daemon wants.
type Options struct {
	Name       string // shown by df as the source; "shelf" if empty
	AllowOther bool   // let other users of this system in (needs user_allow_other)
	ReadOnly   bool
	Debug      bool // every request goes to Log, names included
	Log        *slog.Logger

	// With and Without are capabilities of the kernel (fuse.CAP_…) to use beside and in spite of those that
	// were chosen: to measure what the choice costs.
	With, Without uint64

	// Helper makes the command of the helper of package herald. Nil: programs that watch hear
	// nothing of what other devices change.
	Helper func() *exec.Cmd

	// How long the kernel keeps what it was told, unless it is told to forget. Zero: an
	// hour for what exists, a minute for what does not.
	Positive, Negative time.Duration
}

// Server is a live mount.
type Server struct {
	dir  string
	conn string // for abort
	raw  *raw
	srv  *fuse.Server
	core *fs.FS
	done chan struct{}
}

// Mount mounts core on dir, which mounthelper.Prepare has made ready, and serves it until
// Unmount, or until somebody unmounts it from outside. ctx bounds the mounting only.
// Unsupported: FUSE is missing here (mounthelper/probe tells what to install). The mount
// answers when Mount returns.
func Mount(ctx context.Context, dir string, core *fs.FS, o Options) (*Server, error) {
	const op = "fusefs.Mount"
	if err := ctx.Err(); err != nil {
		return nil, errs.E(op, errs.Other, dir, err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.Positive, time.Hour)
	def(&o.Negative, time.Minute)
	r := newRaw(core, o)
	r.echo = newEcho(core, dir, o.Helper, o.Log)
	srv, dev, err := attach(ctx, r, dir, mountOptions(o))
	if err != nil {
		kind := errs.Other
		if errors.Is(err, os.ErrNotExist) {
			kind = errs.Unsupported
		}
		return nil, errs.E(op, kind, dir, err)
	}
	s := &Server{dir: dir, raw: r, srv: srv, core: core, done: make(chan struct{})}
	core.SetInvalidator(kernel{srv, dev, r.echo})
	go func() {
		defer close(s.done)
		srv.Serve()
		core.SetInvalidator(nil)
		dev.close()
		r.echo.stop()
		r.closeAll()
	}()
	if err := srv.WaitMount(); err != nil {
		_ = mounthelper.Unmount(ctx, dir, true)
		return nil, errs.E(op, errs.Other, dir, err)
	}
	settle(dir)
	s.conn = connection(dir)
	raiseReadAhead(dir)
	return s, nil
}

const maxWrite = 1 << 20 // bytes of one request

// mountOptions are the settings that the measurements ask for; see the package comment.
func mountOptions(o Options) *fuse.MountOptions {
	name := o.Name
	if name == "" {
		name = mounthelper.Type
	}
	m := &fuse.MountOptions{
		FsName:        name,
		Name:          mounthelper.Type,
		AllowOther:    o.AllowOther,
		Options:       []string{"default_permissions"},
		MaxWrite:      maxWrite,
		MaxReadAhead:  1 << 20,
		MaxBackground: 128,
		DisableSplice: true,
		// Neither way of the library: the kernel drops pages when it learns of another size, at that moment,
		// and not when an mtime differs, which it does after own writes.
		DisabledCapabilities: fuse.CAP_AUTO_INVAL_DATA | o.Without,
		EnableSymlinkCaching: true,
		ExtraCapabilities:    capabilities | o.With,
		DirectMount:          os.Geteuid() == 0,
		Debug:                o.Debug,
		Logger:               log.New(io.Discard, "", 0),
	}
	if o.ReadOnly {
		m.Options = append(m.Options, "ro")
	}
	if o.Debug {
		m.Logger = slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)
	} else {
		m.Logger = slog.NewLogLogger(quiet{o.Log.Handler()}, slog.LevelWarn)
	}
	m.PanicHandler = func(v any) fuse.Status {
		o.Log.Error("a request failed inside", "panic", fmt.Sprint(v), "stack", stack())
		return fuse.EIO
	}
	return m
}

// Dir is the mountpoint.
func (s *Server) Dir() string { return s.dir }

// Done is closed when the mount has ended, whoever ended it.
func (s *Server) Done() <-chan struct{} { return s.done }

// copiesTime is how long the end of a mount that nobody here uses any more is waited for.
const copiesTime = 2 * time.Second

// Unmount ends the mount. While programs use it, it is Busy and the message names them,
// unless lazy: then it disappears from the tree at once, and open files keep working
// until they are closed or ctx ends.
//
// Another mount namespace (a container's, say) may have a copy of the mount, with which it
// would live on. It is cut off there, or where the system does not let us, left behind: it
// then ends with this process.
func (s *Server) Unmount(ctx context.Context, lazy bool) error {
	select {
	case <-s.done:
		return nil
	default:
	}
	if err := s.raw.echo.quiet(func() error { return mounthelper.Unmount(ctx, s.dir, lazy) }); err != nil {
		return err
	}
	var patience <-chan time.Time
	if !lazy {
		patience = time.After(copiesTime)
	}
	for aborted := false; ; {
		select {
		case <-s.done:
			return nil
		case <-ctx.Done():
			return errs.E("fusefs.Unmount", errs.Busy, s.dir, errors.New("unmounted, but programs still hold files open"))
		case <-patience:
			if aborted {
				return nil
			}
			err := abort(s.conn)
			s.raw.opts.Log.Warn("another mount namespace has a copy of the mount; it is cut off", "err", err)
			if err != nil {
				return nil
			}
			aborted, patience = true, time.After(copiesTime)
		}
	}
}
