//go:build unix

package daemon

import (
	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fs"
)

// usage is what `df` tells: the disk under the cache. Available is what can really be written
// now, which is less by what the cache leaves free and more by what it would evict.
func (p *parts) usage() fs.Usage {
	u := fs.Usage{Files: p.names.Stat().Files}
	var s unix.Statfs_t
	if unix.Statfs(p.home.CacheDir(), &s) == nil {
		size := uint64(s.Bsize)
		u.Total, u.Free, u.Avail = uint64(s.Blocks)*size, uint64(s.Bfree)*size, uint64(p.cache.DiskRoom(cache.Staged))
		u.Free = max(u.Free, u.Avail)
	}
	return u
}

// diskFree is what this user can still write below dir; false where the system does not say.
func diskFree(dir string) (bytes int64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
