package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/mounthelper"
)

// lazyTime is how long a forced unmount waits for the programs that use the mount.
const lazyTime = 2 * time.Second

// server is a live mount; *fusefs.Server is one.
type server interface {
	Unmount(ctx context.Context, lazy bool) error
	Done() <-chan struct{}
}

// mounts is the place where the namespace is shown, if it is.
type mounts struct {
	d *daemon

	turn   sync.Mutex // one mounts or unmounts at a time; that may take long
	mu     sync.Mutex // guards what follows, for a moment only: a status never waits for a mount
	server server
	path   string // of a mount
	others bool   // it lets other users in
	url    string // of a WebDAV server
}

// Mount implements control.Mounter.
func (d *daemon) Mount(ctx context.Context, req controlapi.MountRequest) (controlapi.Mount, error) {
	m := &d.mounts
	m.turn.Lock()
	defer m.turn.Unlock()
	switch now := m.where(); {
	case now.URL != "" && req.Via == config.ViaWebDAV:
		return now, nil
	case now.URL != "":
		return controlapi.Mount{}, controlapi.E("busy", "to mount it: shelf down && shelf up --via fuse", "it is served at %s", now.URL)
	case now.Path != "":
		if same, err := mounthelper.Clean(req.Path); err == nil && req.Via != config.ViaWebDAV && same == now.Path {
			return now, nil
		}
		return controlapi.Mount{}, controlapi.E("busy", "unmount it first: shelf down", "already mounted at %s", now.Path)
	}
	if req.Via == config.ViaWebDAV {
		err := d.serveDAV()
		return m.where(), err
	}
	if req.AllowOther {
		if err := canShare(); err != nil {
			return controlapi.Mount{}, err
		}
	}
	if last := d.home.LastMounted(); last != "" && last != req.Path {
		mend(ctx, last)
	}
	path, err := mounthelper.Prepare(ctx, req.Path)
	if err != nil {
		return controlapi.Mount{}, err
	}
	if err := d.home.SetMounted(path); err != nil {
		return controlapi.Mount{}, err
	}
	s, err := serve(ctx, path, d.fs, req.AllowOther, d.log)
	if err != nil {
		_ = d.home.ClearMounted()
		return controlapi.Mount{}, controlapi.WithHint(err, "see what is missing: shelf doctor")
	}
	m.mu.Lock()
	m.server, m.path, m.others = s, path, req.AllowOther
	m.mu.Unlock()
	go d.watchMount(s)
	return m.where(), nil
}

// mend removes a mount of ours that a crash left at another place than the one wanted now.
func mend(ctx context.Context, path string) {
	if state, err := mounthelper.Look(ctx, path); err == nil && state == mounthelper.Stale {
		_ = mounthelper.Unmount(ctx, path, true)
	}
}

// watchMount notices a mount that somebody else took away (umount, a shutdown).
func (d *daemon) watchMount(s server) {
	<-s.Done()
	_ = d.mounts.ended(s)
}

// ended forgets a mount, once.
func (m *mounts) ended(s server) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.server != s {
		return nil
	}
	m.server, m.path, m.url, m.others = nil, "", "", false
	return m.d.home.ClearMounted()
}

// Unmount implements control.Mounter.
func (d *daemon) Unmount(ctx context.Context, req controlapi.UnmountRequest) error {
	return d.mounts.unmount(ctx, req.Force)
}

// unmount saves everything and takes the mount away; without force a mount in use stays.
func (m *mounts) unmount(ctx context.Context, force bool) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.mu.Lock()
	s, path := m.server, m.path
	m.mu.Unlock()
	if s == nil {
		return nil
	}
	if err := m.d.fs.Sync(ctx); err != nil && !force {
		return err
	}
	err := s.Unmount(ctx, false)
	if err != nil && force {
		// Detached at once; who still works in it keeps the server busy, and is not waited for.
		ctx, cancel := context.WithTimeout(ctx, lazyTime)
		defer cancel()
		if err = s.Unmount(ctx, true); ctx.Err() != nil {
			err = nil
		}
	}
	if errs.Is(err, errs.Busy) && path != "" {
		return controlapi.E("busy", "close them, or use --force", "%s is in use by %s", path, mounthelper.Describe(mounthelper.Holders(path)))
	}
	if err != nil {
		return err
	}
	return m.ended(s)
}

func (m *mounts) where() controlapi.Mount {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.server == nil {
		return controlapi.Mount{}
	}
	if m.url != "" {
		return controlapi.Mount{Adapter: config.ViaWebDAV, URL: m.url}
	}
	return controlapi.Mount{Path: m.path, Adapter: config.ViaFUSE, Others: m.others}
}
