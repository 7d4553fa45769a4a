package daemon

import (
	"net"
	"net/url"
	"os"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/davfs"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// serveDAV shows the namespace through WebDAV, on the port of last time if that is free.
func (d *daemon) serveDAV() error {
	w, err := d.home.WebDAV()
	if err != nil {
		return err
	}
	who := fs.Caller{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	open := func(listen string) (*davfs.Server, error) {
		return davfs.Serve(d.fs, davfs.Options{Listen: listen, User: w.User, Password: w.Password, Who: who, Log: d.log})
	}
	s, err := open(w.Listen)
	if errs.Is(err, errs.Busy) {
		d.log.Warn("webdav: the port of last time is in use, another one is taken", "asked", w.Listen)
		s, err = open(net.JoinHostPort("127.0.0.1", "0"))
	}
	if err != nil {
		return controlapi.WithHint(err, "mend or remove "+d.home.WebDAVFile())
	}
	if u, err := url.Parse(s.URL()); err == nil && u.Host != w.Listen {
		w.Listen = u.Host
		if err := d.home.SetWebDAV(w); err != nil {
			return err
		}
	}
	d.mounts.mu.Lock()
	d.mounts.server, d.mounts.url = s, s.URL()
	d.mounts.mu.Unlock()
	go d.watchMount(s)
	return nil
}
