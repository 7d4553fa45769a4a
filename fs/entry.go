package fs

import (
	"context"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Answer is an inode's attributes and whether a kernel may keep them.
type Answer struct {
	Attr
	// Cache is false when a change arrived while the answer was made: it may be old, and
	// the kernel may not hear of the change. Then the answer must not be kept.
	Cache bool
	// Name is false when the name must not be kept, only the attributes: where spelling does not
	// matter, a kernel that keeps two names of a file would not know that they come and go
	// together. A directory it has under one name at a time, so that may be kept.
	Name bool
}

// briefly is how long a kernel may take until it has counted that a name was removed.
const briefly = time.Second

// attr is what stat tells of n. n.mu is held; e is fresh.
func (fs *FS) attr(n *inode, e *namespace.Entry) Attr {
	a := Attr{
		Ino: n.ino, Kind: e.Kind, Mode: e.Mode & 0o7777, Nlink: e.Nlink, UID: e.UID, GID: e.GID, Rdev: e.Rdev,
		Size: kindSize(*e), Atime: e.Atime, Mtime: e.Mtime, Ctime: e.Ctime,
		Brief: n.fewer > 0 && fs.now()-n.fewer < int64(briefly),
	}
	a.Stored = a.Size
	if a.UID == OwnerID {
		a.UID = fs.cfg.UID
	}
	if a.GID == OwnerID {
		a.GID = fs.cfg.GID
	}
	if e.Kind == namespace.File {
		a.Stored = fs.stored(e.ID, e.Content)
		if a.Ctime = changeTime(e); e.Ctime == n.recorded {
			a.Ctime = n.shown
		}
	}
	if f := n.file; f != nil && e.Kind == namespace.File {
		f.adopt(*e)
		a.Stored = fs.storedNow(f)
		if a.Size = f.size; f.touched {
			a.Mtime, a.Ctime = f.mtime, max(a.Ctime, f.ctime)
			if a.Atime = f.mtime; f.atime != nil { // as it will be saved
				a.Atime = *f.atime
			}
		}
	}
	return a
}

// changeTime is the ctime of a file. The record of a write is made a moment after the
// write; so that the ctime seen right after a write is the one seen later too (git and tar
// compare them), it is the write's own time, the mtime, as long as nothing else changed since and
// nobody set the mtime to something else. Then it stays as long as the inode is known (inode.shown).
func changeTime(e *namespace.Entry) int64 {
	const delay, tick = int64(30 * time.Second), int64(2 * time.Millisecond) // stamps have milliseconds
	if late := e.Ctime - e.Mtime; e.Ctime == e.Stamp.Nanos() && late > -tick && late < delay {
		return e.Mtime
	}
	return e.Ctime
}

// shownChange is the ctime that the unsaved f shows. n.mu is held.
func (fs *FS) shownChange(f *file) int64 {
	e, err := fs.entry(f.n)
	if err != nil {
		return f.ctime
	}
	return fs.attr(f.n, &e).Ctime
}

// entry is what the namespace shows of n now, or showed before its last name went, as long as n is in
// use or about to be. n.mu is held.
func (fs *FS) entry(n *inode) (namespace.Entry, error) {
	if n.gone != nil && !fs.back(n) {
		return *n.gone, nil
	}
	if p := n.past.Load(); p != nil {
		return p.entry, nil
	}
	e, err := fs.cfg.Names.Get(n.id)
	switch {
	case err == nil && n.lost != nil:
		return fs.regain(n, e), nil
	case err == nil:
		if n.listings > 0 {
			*n.listed = e
		}
		return e, nil
	case !errs.Is(err, errs.Stale):
		return e, err
	case fs.lose(n):
		return *n.lost, nil
	}
	was, ok := fs.lately.find(n.id, fs.now())
	if !ok && n.id.IsDir() { // somebody may stand in it
		was, ok = fs.lastShown(n)
	}
	if !ok {
		return e, err
	}
	was.Nlink = 0 // removed elsewhere, and about to be opened here
	return was, nil
}

// lastShown is how n showed before it was removed elsewhere, as far as history knows. It is for what a
// kernel holds without having it open: the directory that a program stands in, a descriptor that is only
// a place (O_PATH).
func (fs *FS) lastShown(n *inode) (namespace.Entry, bool) {
	if fs.cfg.Past == nil {
		return namespace.Entry{}, false
	}
	e, err := fs.cfg.Past.LastShown(n.id)
	return e, err == nil
}

// Getattr returns the attributes of i, also of a file that is gone, if it is known how it showed. Stale when it is not.
func (fs *FS) Getattr(_ context.Context, i Ino) (Attr, error) {
	n, err := fs.table.get(i)
	if err != nil {
		return Attr{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := fs.entry(n)
	if errs.Is(err, errs.Stale) {
		if was, ok := fs.lastShown(n); ok {
			was.Nlink = 0
			e, err = was, nil
		}
	}
	if err != nil {
		return Attr{}, err
	}
	fs.lately.shown(&e)
	return fs.attr(n, &e), nil
}

// Lookup returns what dir shows under name and counts one mention (Forget takes it back).
// NotExist; a kernel may keep that, for Entry takes it back.
func (fs *FS) Lookup(_ context.Context, dir Ino, name string) (Answer, error) {
	at := fs.moment()
	d, err := fs.table.get(dir)
	if err != nil {
		return Answer{}, err
	}
	if p := d.past.Load(); p != nil {
		if p, err = fs.lookupPast(p, name); err != nil {
			return Answer{}, err
		}
		return fs.mentionPast(p), nil
	}
	if fs.hides(d, name) {
		return fs.mentionPast(fs.madeUp(pastShelf, 0)), nil
	}
	e, err := fs.cfg.Names.Lookup(d.id, name)
	if err != nil {
		if errs.Is(err, errs.NotExist) && fs.KeepsMissing() {
			fs.missed.note(dir, name)
		}
		return Answer{}, err
	}
	fs.lately.note(&e, fs.now())
	return fs.mention(e, at, fs.keeps(&e, name)), nil
}

// KeepsMissing reports whether a kernel may keep that a name does not exist: not where it would
// not see that another, just made, counts as the same.
func (fs *FS) KeepsMissing() bool { return fs.spelled == nil }

// keeps reports whether a kernel may keep the name by which e was asked for. Where spelling
// does not matter that is a directory's own one, which always means itself: an alias goes and
// comes with the names beside it.
func (fs *FS) keeps(e *namespace.Entry, as string) bool {
	return fs.spelled == nil || e.Kind == namespace.Dir && e.Name == as
}

// mention answers with e, which was read at a moment, and counts it as known to the kernel.
func (fs *FS) mention(e namespace.Entry, at moment, keep bool) Answer {
	n := fs.table.know(e.ID)
	n.mu.Lock()
	defer n.mu.Unlock()
	if fs.done.Load() != at.done { // e may lack what was saved since
		if now, err := fs.entry(n); err == nil {
			e = now
		}
	}
	return Answer{Attr: fs.attr(n, &e), Cache: fs.foreign.Load() == at.foreign, Name: keep}
}

// Forget takes back count mentions of i.
func (fs *FS) Forget(i Ino, count uint64) {
	if n := fs.table.forget(i, count); n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		fs.detach(n)
	}
}

// Readlink returns a symlink's target. Invalid for another kind.
func (fs *FS) Readlink(_ context.Context, i Ino) (string, error) {
	n, err := fs.table.get(i)
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := fs.entry(n)
	if err != nil {
		return "", err
	}
	if e.Kind != namespace.Symlink {
		return "", errs.E("fs.Readlink", errs.Invalid, "", nil)
	}
	return e.Target, nil
}

// Statfs tells the space and the number of files.
func (fs *FS) Statfs(context.Context) Usage { return fs.cfg.StatFS() }

func nanos(t time.Time) *int64 {
	v := t.UnixNano()
	return &v
}
