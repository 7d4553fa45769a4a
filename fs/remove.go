package fs

import (
	"context"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Unlink removes a name of anything but a directory. A file that is open stays readable
// and writable until its last handle is closed.
func (fs *FS) Unlink(_ context.Context, dir Ino, name string) error {
	return fs.remove(dir, name, false)
}

// Rmdir removes an empty directory.
func (fs *FS) Rmdir(_ context.Context, dir Ino, name string) error { return fs.remove(dir, name, true) }

func (fs *FS) remove(dir Ino, name string, wantDir bool) error {
	d, err := fs.writableName(dir, name)
	if err != nil {
		return err
	}
	h, xattrs, keys := fs.holdTarget(d.id, name)
	defer fs.release(h)
	done := fs.expect(keys...)
	e, err := fs.cfg.Names.Remove(d.id, name, wantDir)
	done(err)
	if err != nil {
		return err
	}
	fs.noteRemoved(h, &e, xattrs)
	return nil
}

// holdTarget holds what dir shows under a name that is about to be removed, and others beside it. It returns the
// extended attributes that go with it, if it is known, and what the removal changes.
func (fs *FS) holdTarget(dir namespace.NodeID, name string, others ...namespace.NodeID) (held, goneXattrs, []changeKey) {
	keys := []changeKey{nameKey(dir, name)}
	e, err := fs.cfg.Names.Lookup(dir, name)
	if err != nil {
		return fs.hold(others...), nil, keys
	}
	if e.Nlink > 1 { // the other names show a smaller link count
		keys = append(keys, attrKey(e.ID))
	}
	h := fs.hold(append(others, e.ID)...)
	var xattrs goneXattrs
	if n := h.find(e.ID); n != nil {
		xattrs = fs.xattrsOf(n)
	}
	return h, xattrs, keys
}

// noteRemoved notes that a name of e was removed, which may have been the last.
func (fs *FS) noteRemoved(h held, e *namespace.Entry, xattrs goneXattrs) {
	switch n := h.find(e.ID); {
	case n == nil:
	case e.Nlink == 0:
		fs.vanish(n, *e, xattrs)
	default:
		n.fewer = fs.now()
	}
}

// vanish notes that n's last name is gone. n.mu is held.
func (fs *FS) vanish(n *inode, last namespace.Entry, xattrs goneXattrs) {
	last.Nlink, last.Ctime = 0, fs.now()
	n.gone, n.lost, n.xattrs, n.since = &last, nil, xattrs, unseen{}
	if f := n.file; f != nil {
		f.entry.Nlink = 0
		if f.touched { // its memory still counts
			fs.saver.dirty(n)
		}
		fs.detach(n)
	}
}

// back notes that the namespace shows a node again whose last name was removed here while it was
// in use: another device has changed it without having seen that. What was written here since
// counts like any other change. It reports false if n is still gone. n.mu is held.
func (fs *FS) back(n *inode) bool {
	e, err := fs.cfg.Names.Get(n.id)
	if err != nil {
		return false
	}
	e = fs.regain(n, e)
	if f := n.file; f != nil {
		f.adopt(e)
		if f.touched {
			fs.saver.dirty(n)
			if f.writers == 0 {
				f.want = true
				fs.saver.enqueue(n, false)
			}
		}
	}
	return true
}

// Rename moves a name as renameat2 does. A file that replaces another is committed first:
// whoever sees the new name sees the new bytes, also after a crash.
func (fs *FS) Rename(ctx context.Context, srcDir Ino, src string, dstDir Ino, dst string, fl namespace.RenameFlag) error {
	sd, err := fs.writableName(srcDir, src)
	if err != nil {
		return err
	}
	dd, err := fs.writableName(dstDir, dst)
	if err != nil {
		return err
	}
	from, to := sd.id, dd.id
	e, err := fs.cfg.Names.Lookup(from, src)
	if err != nil {
		return err
	}
	keys := []changeKey{nameKey(from, src), attrKey(e.ID)} // the ctime moves
	moved := []namespace.NodeID{e.ID}
	var h held
	var xattrs goneXattrs
	switch fl {
	case namespace.RenameReplace:
		if err := fs.saveBefore(ctx, &e, to, dst); err != nil {
			return err
		}
		var more []changeKey
		h, xattrs, more = fs.holdTarget(to, dst, e.ID)
		keys = append(keys, more...)
	case namespace.RenameExchange:
		if x, err := fs.cfg.Names.Lookup(to, dst); err == nil {
			keys, moved = append(keys, attrKey(x.ID)), append(moved, x.ID)
		}
		fallthrough
	default:
		keys = append(keys, nameKey(to, dst))
		h = fs.hold(moved...)
	}
	defer fs.release(h)
	done := fs.expect(keys...)
	_, replaced, err := fs.cfg.Names.Rename(from, src, to, dst, fl)
	done(err)
	if err != nil {
		return err
	}
	if fl == namespace.RenameReplace && replaced != nil {
		fs.noteRemoved(h, replaced, xattrs)
	}
	for _, id := range moved {
		if from != to && id.IsDir() {
			fs.invalidate(id, true) // what is kept of its listing has the old number of ".."
		}
	}
	return nil
}

// saveBefore commits the file e, about to be renamed, if it has changes and (to, dst)
// exists.
func (fs *FS) saveBefore(ctx context.Context, e *namespace.Entry, to namespace.NodeID, dst string) error {
	if e.Kind != namespace.File {
		return nil
	}
	n := fs.table.findPinned(e.ID)
	if n == nil {
		return nil
	}
	defer fs.table.unpin(n)
	n.mu.Lock()
	unsaved := n.file != nil && n.file.touched && n.gone == nil
	n.mu.Unlock()
	if !unsaved {
		return nil
	}
	if _, err := fs.cfg.Names.Lookup(to, dst); errs.Is(err, errs.NotExist) {
		return nil
	}
	return fs.saver.saveAndWait(ctx, n)
}
