package fs

import (
	"context"
	"crypto/rand"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Mknod makes a node of any kind and counts one mention. s.UID and s.GID are ignored: who
// asks owns it, unless the directory passes its group on (set-gid). Exist, NameTooLong …
func (fs *FS) Mknod(_ context.Context, who Caller, dir Ino, name string, s namespace.Spec) (Answer, error) {
	e, at, err := fs.make(who, dir, name, s)
	if err != nil {
		return Answer{}, err
	}
	fs.lately.note(&e, fs.now())
	return fs.mention(e, at, fs.keeps(&e, name)), nil
}

// make creates the node and returns the moment before.
func (fs *FS) make(who Caller, dir Ino, name string, s namespace.Spec) (namespace.Entry, moment, error) {
	at := fs.moment()
	d, err := fs.writableName(dir, name)
	if err != nil {
		return namespace.Entry{}, moment{}, err
	}
	parent := d.id
	s.Mode &= 0o7777
	if err := fs.owner(who, parent, &s); err != nil {
		return namespace.Entry{}, moment{}, err
	}
	done := fs.expect(nameKey(parent, name))
	e, err := fs.cfg.Names.Create(parent, name, s)
	done(err)
	return e, at, err
}

// owner says whose a new node in dir is: who makes it owns it, unless the directory passes its group on
// (set-gid). NotExist: dir was removed, and who stands in it or holds it still asks.
func (fs *FS) owner(who Caller, dir namespace.NodeID, s *namespace.Spec) error {
	s.UID, s.GID = *fs.storeUID(&who.UID), *fs.storeGID(&who.GID)
	if dir == namespace.Root { // it has no attributes that could be inherited
		return nil
	}
	e, err := fs.cfg.Names.Get(dir)
	if errs.Is(err, errs.Stale) {
		return errs.E("fs.owner", errs.NotExist, "", nil)
	}
	if err == nil && e.Mode&0o2000 != 0 {
		s.GID = e.GID
		if s.Kind == namespace.Dir {
			s.Mode |= 0o2000
		}
	}
	return err
}

// Create makes a file and opens it, or, without exclusive, opens the one that another
// device has made in the meantime.
func (fs *FS) Create(ctx context.Context, who Caller, dir Ino, name string, mode uint32, fl OpenFlags, exclusive bool) (Answer, *Handle, error) {
	a, err := fs.Mknod(ctx, who, dir, name, namespace.Spec{Kind: namespace.File, Mode: mode})
	if errs.Is(err, errs.Exist) && !exclusive {
		a, err = fs.Lookup(ctx, dir, name)
	} else {
		fl.Truncate = false // nothing is in it
	}
	if err != nil {
		return Answer{}, nil, err
	}
	h, err := fs.Open(ctx, a.Ino, fl)
	if err != nil {
		fs.Forget(a.Ino, 1)
		return Answer{}, nil, err
	}
	if fl.Truncate {
		a.Attr, err = fs.Getattr(ctx, a.Ino)
	}
	return a, h, err
}

// Tmpfile makes a file without a name, to be linked or to vanish with its last handle.
func (fs *FS) Tmpfile(ctx context.Context, who Caller, dir Ino, mode uint32, fl OpenFlags) (Answer, *Handle, error) {
	d, err := fs.writable(dir)
	if err != nil {
		return Answer{}, nil, err
	}
	s := namespace.Spec{Kind: namespace.File}
	if err := fs.owner(who, d.id, &s); err != nil {
		return Answer{}, nil, err
	}
	var id namespace.NodeID
	rand.Read(id[:])
	id[len(id)-1] &^= 1 // not a directory
	now := fs.now()
	e := namespace.Entry{
		ID: id, Kind: namespace.File, Mode: mode & 0o7777, UID: s.UID, GID: s.GID,
		Mtime: now, Ctime: now, Atime: now,
	}
	n := fs.table.know(id)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone, n.xattrs, n.nameless = &e, goneXattrs{}, true
	h := fs.newHandle(n, fs.attach(n, e), fl)
	h.opened(ctx)
	return Answer{Attr: fs.attr(n, &e), Cache: true, Name: true}, h, nil
}

// Link gives the file i a further name in dir and counts one mention.
func (fs *FS) Link(ctx context.Context, i Ino, dir Ino, name string) (Answer, error) {
	at := fs.moment()
	n, err := fs.writable(i)
	if err != nil {
		return Answer{}, err
	}
	d, err := fs.writableName(dir, name)
	if err != nil {
		return Answer{}, err
	}
	n.mu.Lock()
	nameless := n.nameless && n.gone != nil && n.file != nil
	n.mu.Unlock()
	if nameless {
		return fs.linkNameless(ctx, n, d.id, name)
	}
	var e namespace.Entry
	err = fs.changeAttr(n, func(id namespace.NodeID) (err error) {
		e, err = fs.cfg.Names.Link(id, d.id, name)
		return err
	}, nameKey(d.id, name))
	if err != nil {
		return Answer{}, err
	}
	return fs.mention(e, at, fs.keeps(&e, name)), nil
}

// linkNameless gives a file made by Tmpfile its name: its node is created, and its bytes become unsaved
// changes.
func (fs *FS) linkNameless(ctx context.Context, n *inode, dir namespace.NodeID, name string) (Answer, error) {
	at := fs.moment()
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.file != nil && n.file.saving { // a part of it is being sealed
		done := n.file.done
		n.mu.Unlock()
		err := fs.wait(ctx, done)
		n.mu.Lock()
		if err != nil {
			return Answer{}, err
		}
	}
	f := n.file
	if f == nil || n.gone == nil {
		return Answer{}, errs.E("fs.Link", errs.Busy, "", nil)
	}
	done := fs.expect(nameKey(dir, name))
	e, err := fs.cfg.Names.Create(dir, name, namespace.Spec{
		ID: n.id, Kind: namespace.File, Mode: n.gone.Mode, UID: n.gone.UID, GID: n.gone.GID, Mtime: &n.gone.Mtime,
	})
	done(err)
	if err != nil {
		return Answer{}, err
	}
	for attr, value := range n.xattrs {
		if err == nil {
			err = fs.cfg.Names.SetXattr(e.ID, attr, value, namespace.XattrAny)
		}
	}
	if err != nil {
		fs.cfg.Names.Remove(dir, name, false)
		return Answer{}, err
	}
	n.gone, n.xattrs, n.since, n.nameless = nil, nil, unseen{}, false
	f.entry, f.base = e, e.Versions
	if f.touched {
		f.want = true
		fs.saver.dirty(n)
		fs.saver.enqueue(n, false)
	}
	fs.table.know(e.ID)
	return Answer{Attr: fs.attr(n, &e), Cache: fs.foreign.Load() == at.foreign, Name: fs.keeps(&e, name)}, nil
}
