//go:build linux || darwin || freebsd

package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
)

func (r *raw) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	d, err := r.core.Opendir(request{cancel}, fs.Ino(in.NodeId))
	if err != nil {
		return status(err)
	}
	out.Fh = r.dirs.Put(d)
	if d.Keeps() {
		out.OpenFlags = fuse.FOPEN_CACHE_DIR | fuse.FOPEN_KEEP_CACHE
	}
	return fuse.OK
}

func dirEntry(e *fs.Dirent) fuse.DirEntry {
	return fuse.DirEntry{Name: e.Name, Ino: uint64(e.Ino), Mode: typeBits[e.Kind], Off: e.Offset}
}

func (r *raw) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d, ok := r.dirs.Get(in.Fh)
	if !ok {
		return status(badHandle())
	}
	return status(d.Read(request{cancel}, in.Offset, func(e fs.Dirent) bool {
		return out.AddDirEntry(dirEntry(&e))
	}))
}

func (r *raw) ReadDirPlus(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d, ok := r.dirs.Get(in.Fh)
	if !ok {
		return status(badHandle())
	}
	return status(d.Read(request{cancel}, in.Offset, func(e fs.Dirent) bool {
		eo := out.AddDirLookupEntry(dirEntry(&e))
		if eo == nil {
			return false
		}
		if e.Entry != nil { // "." and ".." are not looked up
			if a, ok := d.Mention(e); ok { // otherwise only the name is told
				r.setEntry(eo, &a)
			}
		}
		return true
	}))
}

func (r *raw) ReleaseDir(in *fuse.ReleaseIn) {
	if d, ok := r.dirs.Take(in.Fh); ok {
		d.Close()
	}
}

func (r *raw) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	d, ok := r.dirs.Get(in.Fh)
	if !ok {
		return status(badHandle())
	}
	return status(d.Sync(request{cancel}))
}
