package control

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"

	"github.com/shelffs/shelf/internal/errs"
)

// Listen opens the control socket at path, which must lie in a folder of the owner's (0700).
// What a dead daemon left there is removed: the caller holds the home's lock, so nobody
// else can be using it. Connections of other users are closed unanswered.
func Listen(path string, log *slog.Logger) (net.Listener, error) {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, errs.FromOS("control.Listen", path, err)
	case fi.Mode().IsRegular() || fi.IsDir():
		return nil, errs.E("control.Listen", errs.Exist, path, errors.New("not a socket"))
	default:
		if err := os.Remove(path); err != nil {
			return nil, errs.FromOS("control.Listen", path, err)
		}
	}
	ln, err := listenPrivate(path)
	if err != nil {
		return nil, errs.FromOS("control.Listen", path, err)
	}
	return &ownListener{Listener: ln, log: log}, nil
}

// ownListener accepts only connections of this process's user (and of root, who can do
// anything anyway).
type ownListener struct {
	net.Listener
	log *slog.Logger
}

func (l *ownListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, known := peerUID(c)
		if !known || uid == 0 || uid == os.Getuid() {
			return c, nil
		}
		l.log.Warn("control: another user tried to connect", "uid", uid)
		_ = c.Close()
	}
}
