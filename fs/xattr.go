package fs

import (
	"context"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Extended attributes. Only those of users are kept: user.*. The kernel's own (ACLs,
// capabilities, labels) mean nothing on another device and are Unsupported.
//
// user.shelf.* belongs to Shelf: computed, not listed, not settable.
const (
	userPrefix  = "user."
	shelfPrefix = "user.shelf."

	// WhyAttr tells why a file's bytes cannot be had now; absent when they can.
	WhyAttr = shelfPrefix + "why"
)

// Limits of the kernel's interface, in bytes.
const (
	maxXattrName  = 255
	maxXattrValue = 64 << 10
)

// Getxattr returns the value of an attribute. NoAttr, Unsupported.
func (fs *FS) Getxattr(ctx context.Context, i Ino, name string) ([]byte, error) {
	n, err := fs.table.get(i)
	if err != nil {
		return nil, err
	}
	if err := checkXattrName(name); err != nil {
		return nil, err
	}
	p := n.past.Load()
	if name == WhyAttr && p == nil {
		if why := fs.cfg.Why(ctx, n.id); why != "" {
			return []byte(why), nil
		}
	}
	if strings.HasPrefix(name, shelfPrefix) || p != nil && p.kind != pastShown {
		return nil, errs.E("fs.Getxattr", errs.NoAttr, "", nil)
	}
	if p != nil {
		return fs.cfg.Past.XattrAt(p.entry.ID, name, p.when)
	}
	var v []byte
	if n.whileAway(func(x goneXattrs) { v, err = x.get(name) }) {
		return v, err
	}
	return fs.cfg.Names.GetXattr(n.id, name)
}

// Setxattr sets an attribute. Exist, NoAttr (as flag says), NoSpace, TooLarge.
func (fs *FS) Setxattr(_ context.Context, i Ino, name string, value []byte, flag namespace.XattrFlag) error {
	n, err := fs.writable(i)
	if err != nil {
		return err
	}
	if err := checkXattrName(name); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(name, shelfPrefix):
		return errs.E("fs.Setxattr", errs.Forbidden, "", nil)
	case len(value) > maxXattrValue:
		return errs.E("fs.Setxattr", errs.Range, "", nil)
	}
	return fs.changeXattr(n, name,
		func(id namespace.NodeID) error { return fs.cfg.Names.SetXattr(id, name, value, flag) },
		func(x goneXattrs) error { return x.set(name, value, flag) })
}

// changeAttr does what changes n but for its bytes. It holds n, so that no commit, which shows the
// ctime that it found, comes between.
func (fs *FS) changeAttr(n *inode, change func(id namespace.NodeID) error, keys ...changeKey) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fs.changeAttrHeld(n, change, keys...)
}

// changeAttrHeld is changeAttr for who holds n.mu.
func (fs *FS) changeAttrHeld(n *inode, change func(id namespace.NodeID) error, keys ...changeKey) error {
	done := fs.expect(append(keys, attrKey(n.id))...)
	err := change(n.id)
	done(err)
	return err
}

// changeXattr changes an extended attribute of n in the namespace, or in memory if that does not show it.
func (fs *FS) changeXattr(n *inode, name string, change func(id namespace.NodeID) error, away func(goneXattrs) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.away() == nil {
		if err := fs.changeAttrHeld(n, change); !errs.Is(err, errs.Stale) || !fs.lose(n) {
			return err
		}
	}
	err := away(n.xattrs)
	if err == nil {
		n.away().Ctime = fs.now()
		n.since.setXattr(name)
	}
	return err
}

// Listxattr returns the names of the attributes.
func (fs *FS) Listxattr(_ context.Context, i Ino) ([]string, error) {
	n, err := fs.table.get(i)
	if err != nil {
		return nil, err
	}
	switch p := n.past.Load(); {
	case p != nil && p.kind == pastShown:
		return fs.cfg.Past.ListXattrAt(p.entry.ID, p.when)
	case p != nil:
		return nil, nil
	}
	var names []string
	if n.whileAway(func(x goneXattrs) { names = x.list() }) {
		return names, nil
	}
	return fs.cfg.Names.ListXattr(n.id)
}

// Removexattr removes an attribute. NoAttr.
func (fs *FS) Removexattr(_ context.Context, i Ino, name string) error {
	n, err := fs.writable(i)
	if err != nil {
		return err
	}
	if err := checkXattrName(name); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(name, shelfPrefix):
		return errs.E("fs.Removexattr", errs.Forbidden, "", nil)
	}
	return fs.changeXattr(n, name,
		func(id namespace.NodeID) error { return fs.cfg.Names.RemoveXattr(id, name) },
		func(x goneXattrs) error { return x.remove(name) })
}

func checkXattrName(name string) error {
	switch {
	case !strings.HasPrefix(name, userPrefix):
		return errs.E("fs.xattr", errs.Unsupported, "", nil)
	case len(name) == len(userPrefix):
		return errs.E("fs.xattr", errs.Invalid, "", nil)
	case len(name) > maxXattrName:
		return errs.E("fs.xattr", errs.Range, "", nil)
	}
	return nil
}
