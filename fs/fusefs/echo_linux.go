package fusefs

import (
	"log/slog"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/herald"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/mounthelper"
)

// echo has the herald's helper repeat what another device did, and knows its requests, to which the
// methods below answer as if they did something.
type echo struct {
	h    *herald.Herald
	core *fs.FS
	dir  string                   // the mountpoint
	now  atomic.Pointer[fs.Event] // what is being repeated
}

// gone is the inode of what vanished and is removed once more: no inode of fs has this number.
const gone = ^uint64(0)

func newEcho(core *fs.FS, dir string, start func() *exec.Cmd, log *slog.Logger) *echo {
	if start == nil {
		return nil
	}
	return &echo{h: herald.New(func() string { return mounthelper.Device(dir) }, start, log), core: core, dir: dir}
}

func (e *echo) watching() bool { return e != nil && e.h.Watching() }

// calls that let who watches hear of an event.
var calls = map[fs.EventKind]herald.Do{
	fs.Appeared: herald.Create, fs.Vanished: herald.Remove, fs.Written: herald.Modify, fs.Attributed: herald.Attribute,
}

func (e *echo) tell(ev fs.Event) {
	do := calls[ev.What]
	self := (do == herald.Modify || do == herald.Attribute) && e.h.Watched(uint64(ev.Ino))
	if !self && !e.h.Watched(uint64(ev.Dir)) {
		return
	}
	path, err := e.core.Path(ev.Dir)
	if path = filepath.Join(e.dir, path, ev.Name); ev.Dir == 0 {
		path, err = e.core.Path(ev.Ino)
		path = filepath.Join(e.dir, path)
	}
	if err != nil {
		return
	}
	e.now.Store(&ev)
	defer e.now.Store(nil)
	_ = e.h.Make(herald.Call{Do: do, Path: path, Mode: typeBits[ev.Kind]})
}

// quiet runs fn while no call is under way.
func (e *echo) quiet(fn func() error) error {
	if e == nil {
		return fn()
	}
	return e.h.Quiet(fn)
}

func (e *echo) stop() {
	if e != nil {
		e.h.Stop()
	}
}

// from returns what is being repeated if a request is the helper's.
func (e *echo) from(h *fuse.InHeader) *fs.Event {
	if e == nil || h.Pid == 0 || h.Pid != e.h.Thread() {
		return nil
	}
	return e.now.Load()
}

// of is from for a name that has appeared or vanished.
func (e *echo) of(h *fuse.InHeader, name string, what fs.EventKind) bool {
	ev := e.from(h)
	return ev != nil && ev.What == what && uint64(ev.Dir) == h.NodeId && ev.Name == name
}

// lookup answers the helper, who is to find what vanished, and not what appeared.
func (r *raw) lookupEcho(h *fuse.InHeader, name string, out *fuse.EntryOut) bool {
	switch {
	case r.echo.of(h, name, fs.Appeared):
		out.NodeId = 0
	case r.echo.of(h, name, fs.Vanished):
		kind := r.echo.from(h).Kind
		out.NodeId, out.Generation = gone, uint64(time.Now().UnixNano())
		setAttr(&out.Attr, &fs.Attr{Ino: fs.Ino(gone), Kind: kind, Mode: 0o600, Nlink: 1, UID: h.Uid, GID: h.Gid})
		out.SetAttrTimeout(r.opts.Positive)
	default:
		return false
	}
	return true
}

// appeared is what a name stands for that the helper creates.
func (r *raw) appeared(cancel <-chan struct{}, h *fuse.InHeader, name string, kind namespace.Kind, out *fuse.EntryOut) error {
	a, err := r.core.Lookup(request{cancel}, fs.Ino(h.NodeId), name)
	if err != nil {
		return err
	}
	if a.Kind != kind {
		r.core.Forget(a.Ino, 1)
		return errs.E("fusefs.echo", errs.Stale, "", nil)
	}
	r.setEntry(out, &a)
	return nil
}

// vanished answers the helper who removes a name, unless something is there again.
func (r *raw) vanished(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	a, err := r.core.Lookup(request{cancel}, fs.Ino(h.NodeId), name)
	if err == nil {
		r.core.Forget(a.Ino, 1)
		return fuse.EBUSY
	}
	if !errs.Is(err, errs.NotExist) {
		return status(err)
	}
	return fuse.OK
}
