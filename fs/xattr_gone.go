package fs

import (
	"bytes"
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// goneXattrs are the extended attributes of a file or directory that is known and has no name, which the
// namespace therefore does not have.
type goneXattrs map[string][]byte

func (x goneXattrs) get(name string) ([]byte, error) {
	v, ok := x[name]
	if !ok {
		return nil, errs.E("fs.Getxattr", errs.NoAttr, "", nil)
	}
	return v, nil
}

func (x goneXattrs) set(name string, value []byte, flag namespace.XattrFlag) error {
	const op = "fs.Setxattr"
	was, there := x[name]
	switch {
	case there && flag == namespace.XattrCreate:
		return errs.E(op, errs.Exist, "", nil)
	case !there && flag == namespace.XattrReplace:
		return errs.E(op, errs.NoAttr, "", nil)
	}
	total := len(name) + len(value) - len(was)
	for n, v := range x {
		if total += len(v); n != name {
			total += len(n)
		}
	}
	if total > namespace.MaxXattr {
		return errs.E(op, errs.NoSpace, "", nil)
	}
	x[name] = bytes.Clone(value)
	return nil
}

func (x goneXattrs) list() []string { return slices.Sorted(maps.Keys(x)) }

func (x goneXattrs) remove(name string) error {
	if _, ok := x[name]; !ok {
		return errs.E("fs.Removexattr", errs.NoAttr, "", nil)
	}
	delete(x, name)
	return nil
}

// xattrsOf reads what would go with the last name of n, open or not: who has found it may hold its place
// (O_PATH, a working directory) without our knowing. n.mu is held.
func (fs *FS) xattrsOf(n *inode) goneXattrs {
	x := goneXattrs{}
	names, err := fs.cfg.Names.ListXattr(n.id)
	if err != nil {
		return x
	}
	for _, name := range names {
		if v, err := fs.cfg.Names.GetXattr(n.id, name); err == nil {
			x[name] = v
		}
	}
	return x
}

// whileAway calls fn with the extended attributes of n if it has no name; else it reports false.
func (n *inode) whileAway(fn func(x goneXattrs)) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.away() == nil {
		return false
	}
	fn(n.xattrs)
	return true
}
