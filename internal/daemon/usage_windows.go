package daemon

import (
	"golang.org/x/sys/windows"

	"github.com/shelffs/shelf/fs"
)

// usage is what Explorer shows: the disk under the cache, because that is what can really be
// written now.
func (p *parts) usage() fs.Usage {
	u := fs.Usage{Files: p.names.Stat().Files}
	if dir, err := windows.UTF16PtrFromString(p.home.CacheDir()); err == nil {
		_ = windows.GetDiskFreeSpaceEx(dir, &u.Avail, &u.Total, &u.Free)
	}
	return u
}
