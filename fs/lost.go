package fs

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// What is open here and was removed elsewhere goes on like what was removed here: its attributes are in
// memory, as the namespace shows it nowhere, and go with the last handle. If it comes back, because its
// bytes are saved or another device changed it without having seen the removal, what was set of it
// since comes with it.

// unseen is what was set of a node while the namespace did not show it.
type unseen struct {
	attrs  namespace.AttrChange
	xattrs map[string]struct{} // names; the values are those of inode.xattrs, what is not there was removed
}

func (u *unseen) set(ch namespace.AttrChange) {
	over := func(p **uint32, v *uint32) {
		if v != nil {
			*p = v
		}
	}
	over(&u.attrs.Mode, ch.Mode)
	over(&u.attrs.UID, ch.UID)
	over(&u.attrs.GID, ch.GID)
	if ch.Atime != nil {
		u.attrs.Atime = ch.Atime
	}
	if ch.Mtime != nil {
		u.attrs.Mtime = ch.Mtime
	}
}

func (u *unseen) setXattr(name string) {
	if u.xattrs == nil {
		u.xattrs = map[string]struct{}{}
	}
	u.xattrs[name] = struct{}{}
}

// away is what n shows while the namespace does not show it; nil if that does, as far as is known. n.mu is held.
func (n *inode) away() *namespace.Entry {
	if n.gone != nil {
		return n.gone
	}
	return n.lost
}

// last is how the namespace showed n last; false if it is not open. n.mu is held.
func (n *inode) last() (namespace.Entry, bool) {
	switch {
	case n.file != nil:
		return n.file.entry, true
	case n.listings > 0:
		return *n.listed, true
	}
	return namespace.Entry{}, false
}

// lose notes that the namespace shows n nowhere, though it was not removed here. It reports false if n is
// not open. n.mu is held.
func (fs *FS) lose(n *inode) bool {
	if n.lost != nil {
		return true
	}
	e, ok := n.last()
	if !ok {
		return false
	}
	e.Nlink, e.Ctime = 0, max(fs.now(), e.Ctime)
	n.lost, n.xattrs = &e, fs.xattrsOf(n)
	return true
}

// unlose forgets what was lost when it goes out of use. n.mu is held.
func (fs *FS) unlose(n *inode) {
	if n.lost != nil {
		n.lost, n.xattrs, n.since = nil, nil, unseen{}
	}
}

// regain ends that n is gone or lost: the namespace shows it again, as e. Times that were set count only
// for the bytes that they were set of. n.mu is held.
func (fs *FS) regain(n *inode, e namespace.Entry) namespace.Entry {
	was, xattrs, since := n.away(), n.xattrs, n.since
	n.gone, n.lost, n.xattrs, n.since = nil, nil, nil, unseen{}
	if e.Content != was.Content {
		since.attrs.Atime, since.attrs.Mtime = nil, nil
	}
	var err error
	done := fs.expect(attrKey(n.id))
	for name := range since.xattrs {
		one := func() error { return fs.cfg.Names.RemoveXattr(n.id, name) }
		if v, ok := xattrs[name]; ok {
			one = func() error { return fs.cfg.Names.SetXattr(n.id, name, v, namespace.XattrAny) }
		}
		if oneErr := one(); oneErr != nil && !errs.Is(oneErr, errs.NoAttr) {
			err = oneErr
		}
	}
	if since.attrs != (namespace.AttrChange{}) {
		if with, attrErr := fs.cfg.Names.SetAttr(n.id, since.attrs); attrErr != nil {
			err = attrErr
		} else {
			e = with
		}
	}
	done(nil)
	if err != nil {
		fs.log.Warn("a file is back without all that was set of it meanwhile", "err", err)
	}
	return e
}

// keepWhole has all extended attributes come back with n: of a node that the others have forgotten,
// the namespace has none. n.mu is held.
func (n *inode) keepWhole() {
	for name := range n.xattrs {
		n.since.setXattr(name)
	}
}
