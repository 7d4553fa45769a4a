package daemon

import (
	"golang.org/x/sys/windows"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fs"
)

// usage is what Explorer shows: the disk under the cache. Available is what can really be written
// now, which is less by what the cache leaves free and more by what it would evict.
func (p *parts) usage() fs.Usage {
	u := fs.Usage{Files: p.names.Stat().Files}
	var avail uint64
	if dir, err := windows.UTF16PtrFromString(p.home.CacheDir()); err == nil &&
		windows.GetDiskFreeSpaceEx(dir, &avail, &u.Total, &u.Free) == nil {
		u.Avail = uint64(p.cache.DiskRoom(cache.Staged))
		u.Free = max(u.Free, u.Avail)
	}
	return u
}

// diskFree is what this user can still write below dir; false where the system does not say.
func diskFree(dir string) (bytes int64, ok bool) {
	var avail uint64
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil || windows.GetDiskFreeSpaceEx(name, &avail, nil, nil) != nil {
		return 0, false
	}
	return int64(avail), true
}
