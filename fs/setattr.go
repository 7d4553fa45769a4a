package fs

import (
	"context"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

const setIDs = 0o6000

// Setattr changes attributes and returns them all. A new size counts as a write: it is
// saved like one. Permission is the adapter's business.
func (fs *FS) Setattr(ctx context.Context, i Ino, c AttrChange) (Attr, error) {
	n, err := fs.writable(i)
	if err != nil {
		return Attr{}, err
	}
	if c.Size != nil {
		if err := fs.truncate(ctx, n, *c.Size); err != nil {
			return Attr{}, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := fs.entry(n)
	if err != nil {
		return Attr{}, err
	}
	if e, err = fs.setEntry(n, e, c); err != nil {
		return Attr{}, err
	}
	return fs.attr(n, &e), nil
}

// setEntry applies all of c but the size. n.mu is held.
func (fs *FS) setEntry(n *inode, e namespace.Entry, c AttrChange) (namespace.Entry, error) {
	ch := namespace.AttrChange{Mode: c.Mode, UID: fs.storeUID(c.UID), GID: fs.storeGID(c.GID)}
	if c.Atime != nil {
		ch.Atime = nanos(*c.Atime)
	}
	if c.Mtime != nil {
		ch.Mtime = nanos(*c.Mtime)
	}
	now, f := fs.now(), n.file
	if c.AtimeNow {
		ch.Atime = &now
	}
	if f != nil && f.touched { // times go with the commit that is due anyway
		f.setTimes(&ch, now, c.AtimeNow)
		f.setSame(&ch, &e, now)
	}
	if c.ClearSetID && c.Mode == nil {
		if m := withoutSetID(e); m != e.Mode {
			ch.Mode = &m
			fs.invalidate(n.id, false) // a kernel that does not drop them itself takes them for there
		}
	}
	switch {
	case ch == namespace.AttrChange{}:
		return e, nil
	case n.away() == nil:
		done := fs.expect(attrKey(n.id))
		e, err := fs.cfg.Names.SetAttr(n.id, ch)
		if done(err); !errs.Is(err, errs.Stale) || !fs.lose(n) {
			return e, err
		}
	}
	was := n.away()
	setLocal(was, ch, now)
	n.since.set(ch)
	return *was, nil
}

// setTimes takes the times out of ch. The commit's mtime is the access time as well; one that is the
// clock's differs enough to be kept only where the mtime is another time. n.mu is held.
func (f *file) setTimes(ch *namespace.AttrChange, now int64, atimeNow bool) {
	if ch.Mtime != nil {
		f.mtime, f.ctime, ch.Mtime = *ch.Mtime, now, nil
		f.promises.times = true
	}
	if ch.Atime == nil {
		return
	}
	if f.atime = ch.Atime; atimeNow && f.mtime <= now && now-f.mtime < int64(time.Second) {
		f.atime = nil
	}
	ch.Atime = nil
}

// setSame takes out of ch what e has already: what moves is the ctime, which the commit moves. tar and cp
// set all attributes of what they have just written. n.mu is held.
func (f *file) setSame(ch *namespace.AttrChange, e *namespace.Entry, now int64) {
	for _, x := range []struct {
		set **uint32
		is  uint32
	}{{&ch.Mode, e.Mode}, {&ch.UID, e.UID}, {&ch.GID, e.GID}} {
		if *x.set != nil && **x.set == x.is {
			*x.set, f.ctime = nil, now
		}
	}
}

func setLocal(e *namespace.Entry, ch namespace.AttrChange, now int64) {
	set := func(p *uint32, v *uint32) {
		if v != nil {
			*p = *v
		}
	}
	set(&e.Mode, ch.Mode)
	set(&e.UID, ch.UID)
	set(&e.GID, ch.GID)
	if ch.Atime != nil {
		e.Atime = *ch.Atime
	}
	if ch.Mtime != nil {
		e.Mtime = *ch.Mtime
	}
	e.Ctime = now
}

// withoutSetID is the mode of e after somebody without privileges wrote it.
func withoutSetID(e namespace.Entry) uint32 {
	m := e.Mode
	if e.Kind == namespace.Dir {
		return m
	}
	m &^= 0o4000
	if m&0o010 != 0 { // set-gid without group execution once meant mandatory locking
		m &^= 0o2000
	}
	return m
}

// truncate sets the size of the file n.
func (fs *FS) truncate(ctx context.Context, n *inode, size int64) error {
	if size < 0 || size > blocks.MaxSize {
		return errs.E("fs.Setattr", errs.TooLarge, "", nil)
	}
	if err := fs.admit(ctx, 0); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := fs.entry(n)
	if err != nil {
		return err
	}
	switch e.Kind {
	case namespace.File:
	case namespace.Dir:
		return errs.E("fs.Setattr", errs.IsDir, "", nil)
	default:
		return errs.E("fs.Setattr", errs.Invalid, "", nil)
	}
	f := fs.attach(n, e)
	if size == 0 {
		fs.empty(f)
	} else {
		f.resize(size)
		fs.touch(f)
	}
	if f.writers == 0 { // by path: nobody will close it
		f.want = true
		fs.saver.enqueue(n, false)
	}
	fs.detach(n)
	return nil
}

// storeUID and storeGID are the inverse of what attr shows.
func (fs *FS) storeUID(id *uint32) *uint32 { return asOwner(id, fs.cfg.UID) }
func (fs *FS) storeGID(id *uint32) *uint32 { return asOwner(id, fs.cfg.GID) }

func asOwner(id *uint32, own uint32) *uint32 {
	if id == nil || *id != own {
		return id
	}
	v := OwnerID
	return &v
}
