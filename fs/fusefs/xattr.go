//go:build linux || darwin || freebsd

package fusefs

import (
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Flags of setxattr(2).
const (
	xattrCreate  = 1
	xattrReplace = 2
)

// fit copies v into dest, whose length is what the caller has room for; none asks for the
// size only.
func fit(dest []byte, v []byte) (uint32, fuse.Status) {
	if len(v) > len(dest) {
		return uint32(len(v)), fuse.ERANGE
	}
	return uint32(copy(dest, v)), fuse.OK
}

func (r *raw) GetXAttr(cancel <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	v, err := r.core.Getxattr(request{cancel}, fs.Ino(h.NodeId), name)
	if err != nil {
		return 0, status(err)
	}
	return fit(dest, v)
}

func (r *raw) ListXAttr(cancel <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	names, err := r.core.Listxattr(request{cancel}, fs.Ino(h.NodeId))
	if err != nil {
		return 0, status(err)
	}
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte(0)
	}
	return fit(dest, []byte(b.String()))
}

func (r *raw) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, name string, v []byte) fuse.Status {
	fl := namespace.XattrAny
	switch in.Flags {
	case xattrCreate:
		fl = namespace.XattrCreate
	case xattrReplace:
		fl = namespace.XattrReplace
	}
	return status(r.core.Setxattr(request{cancel}, fs.Ino(in.NodeId), name, v, fl))
}

func (r *raw) RemoveXAttr(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return status(r.core.Removexattr(request{cancel}, fs.Ino(h.NodeId), name))
}
