package namespace

import "github.com/shelffs/shelf/internal/errs"

// one takes one way back. Stale: changed since. Exist, NotExist, Loop: its name is taken, its directory
// gone, or still inside it.
func (u *undoer) one(x undone) error {
	const op = "namespace.Undo"
	if x.was.How == Returned {
		return u.takeAway(x)
	}
	now, err := u.r.Get(x.was.ID)
	switch {
	case errs.Is(err, errs.Stale) && !u.gone[x.was.ID]:
		return errs.E(op, errs.Stale, "", nil)
	case errs.Is(err, errs.Stale):
		return u.comeBack(x)
	case err != nil:
		return err
	}
	here, named := u.r.nameOf(x.was.node)
	switch {
	case named && here == x.was.at() && same(x.was.Entry, now):
		return nil // as after an undo that was broken off, or took back a part
	case u.back[x.was.ID]: // under another of its names
		if !named || here != x.was.at() {
			err = u.relink(x, now)
		}
	case x.left.node.IsZero(): // it was gone, and somebody brought it back
		return errs.E(op, errs.Stale, "", nil)
	case x.how != Replaced && !u.mine(x), x.how == Replaced && !same(x.was.Entry, now) && now.Writer != u.r.cfg.Self:
		return errs.E(op, errs.Stale, "", nil)
	case x.how == Removed || x.how == Replaced:
		if !named || here != x.was.at() {
			err = u.relink(x, now)
		}
	case !named: // its file has other names
		err = u.relink(x, now)
	case here != x.was.at():
		err = u.moveBack(x, here)
	}
	if err != nil || same(x.was.Entry, now) || u.dry {
		return err
	}
	if x.was.Kind != File {
		return errs.E(op, errs.Stale, "", nil)
	}
	_, err = u.r.rewrite(u.ctx, x.was.ID, x.was.Entry, x.was.Until()-1, u.bring)
	return err
}

// mine reports whether nobody else has changed a file, or its name, since a change left it so. What this device
// did to it since left no state of its own, or there would be a newer one.
func (u *undoer) mine(x undone) bool {
	name := x.was.node
	if x.how == Removed || x.how == Replaced {
		name = x.left.node
	}
	return u.untouched(x.left, name, x.how != Removed)
}

func (u *undoer) untouched(l left, name NodeID, placed bool) (ok bool) {
	self := u.r.cfg.Self
	_ = u.r.read(func(t *tx) error {
		now := t.leaves(l.node, name)
		ok = (!placed || now.place == l.place || now.place.Writer.Device == self) && (now.bytes == l.bytes || now.bytes.Writer.Device == self)
		return nil
	})
	return ok
}

// moveBack gives a file its name back, from the one that it has.
func (u *undoer) moveBack(x undone, here nameKey) error {
	to, flag := x.was.at(), RenameNoReplace
	if other, err := u.r.Lookup(to.parent, to.name); err == nil && u.swapped(other, here) {
		flag = RenameExchange
	} else if err := u.clear(x); err != nil {
		return err
	}
	if u.dry {
		return nil
	}
	_, _, err := u.r.Rename(here.parent, here.name, to.parent, to.name, flag)
	return err
}

// swapped reports whether a file goes back to the place that another is to leave.
func (u *undoer) swapped(e Entry, place nameKey) bool {
	node := e.ID
	_ = u.r.read(func(t *tx) error {
		node = t.nameNode(e)
		return nil
	})
	x, ok := u.all[node]
	return ok && (x.how == Moved || x.how == Overwritten) && x.was.at() == place && u.mine(x)
}

// comeBack makes a name show again what it showed, which is nowhere now.
func (u *undoer) comeBack(x undone) error {
	to := x.was.at()
	over, err := u.room(x)
	if err != nil || u.dry {
		return err
	}
	if over != nil && over.Kind == File && x.was.Kind == File && over.Nlink == 1 && u.names[x.was.ID] == 1 { // the old contents go over it
		_, err = u.r.rewrite(u.ctx, over.ID, x.was.Entry, x.was.Until()-1, u.bring)
		return err
	}
	if over != nil {
		if _, err := u.r.Remove(to.parent, to.name, false); err != nil {
			return err
		}
	}
	e, err := u.r.putBack(u.ctx, x.was.Entry, x.was.Until()-1, to, u.bring)
	if err == nil {
		u.back[x.was.ID] = true
		u.made(e)
	}
	return err
}

// relink gives a file that lives the name back that was taken from it.
func (u *undoer) relink(x undone, now Entry) error {
	const op = "namespace.Undo"
	if now.Kind == Dir {
		return errs.E(op, errs.Stale, "", nil)
	}
	to := x.was.at()
	if err := u.clear(x); err != nil || u.dry {
		return err
	}
	if _, err := u.r.Link(now.ID, to.parent, to.name); err != nil {
		return err
	}
	e, err := u.r.Lookup(to.parent, to.name)
	if err == nil {
		u.made(e)
	}
	return err
}

// takeAway removes what a restore or an undo has made. NotEmpty: something was put into it since.
func (u *undoer) takeAway(x undone) error {
	const op = "namespace.Undo"
	now, err := u.r.Lookup(x.was.Parent, x.was.Name)
	switch {
	case errs.Is(err, errs.NotExist):
		return nil
	case err != nil:
		return err
	case now.ID != x.was.ID || !u.mine(x):
		return errs.E(op, errs.Stale, "", nil)
	case u.dry:
		return nil
	}
	_, err = u.r.Remove(x.was.Parent, x.was.Name, now.Kind == Dir)
	return err
}
