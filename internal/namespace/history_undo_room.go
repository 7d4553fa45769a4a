package namespace

import "github.com/shelffs/shelf/internal/errs"

// clear is room, and removes what makes way.
func (u *undoer) clear(x undone) error {
	over, err := u.room(x)
	if over != nil && !u.dry {
		_, err = u.r.Remove(x.was.Parent, x.was.Name, false)
	}
	return err
}

// room looks whether a name is free for what it showed, or taken by what makes way for that (over): what was renamed over
// it, or made in its place in the same burst. NotExist: its directory is gone. Exist, Stale: as of one.
func (u *undoer) room(x undone) (over *Entry, err error) {
	const op = "namespace.Undo"
	k := x.was.at()
	if _, err := u.r.Get(k.parent); err != nil {
		return nil, errs.E(op, errs.NotExist, "", nil)
	}
	now, err := u.r.Lookup(k.parent, k.name)
	switch {
	case errs.Is(err, errs.NotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case u.freed[k] || now.Kind == Dir: // what goes back where it came from goes first
		return nil, errs.E(op, errs.Exist, "", nil)
	case x.how == Replaced && u.took(x.left, now):
		if !u.untouched(left{now.ID, x.left.place, x.left.bytes}, now.ID, true) {
			return nil, errs.E(op, errs.Stale, "", nil)
		}
	case !u.remade(x, now):
		return nil, errs.E(op, errs.Exist, "", nil)
	}
	return &now, nil
}

// took reports whether a file has a name because of a change that renamed something over it: that
// itself, or what this device renamed over that without a trace, as in one save after the other.
func (u *undoer) took(l left, now Entry) bool {
	if now.ID == l.node {
		return true
	}
	_, err := u.r.Get(l.node)
	return errs.Is(err, errs.Stale) && now.Writer == u.r.cfg.Self
}

// remade reports whether this device has made a file in the place of another just after it had taken that away, as
// some editors save, and nobody has touched it since.
func (u *undoer) remade(x undone, now Entry) (yes bool) {
	self := u.r.cfg.Self
	_ = u.r.read(func(t *tx) error {
		p := t.node(t.nameNode(now)).P.Winner()
		yes = p.Dot.Writer.Device == self && p.T.Nanos()-x.was.Until() <= int64(burstGap)
		if now.Nlink == 1 { // else only a name goes
			yes = yes && now.Writer == self && now.Stamp.Nanos()-x.was.Until() <= int64(burstGap)
		}
		return nil
	})
	return yes
}

// makeWay puts something that waits for its name out of the way of the others, under another name where it is, if another
// waits for that name, or where it goes: of two directories that lie in each other, or three names in a ring, none could go
// first. It reports whether there was one.
func (u *undoer) makeWay(todo []undone) bool {
	wanted := map[nameKey]NodeID{}
	for _, x := range todo {
		wanted[x.was.at()] = x.was.node
	}
	for _, x := range todo {
		here, named := u.r.nameOf(x.was.node)
		by, stands := wanted[here]
		if _, done := u.aside[x.was.node]; done || !named || u.dry || x.how != Moved && x.how != Overwritten || !u.mine(x) {
			continue
		}
		to := here
		if !stands || by == x.was.node {
			if to = x.was.at(); !u.freed[to] {
				continue
			}
		}
		if _, _, err := u.r.Rename(here.parent, here.name, to.parent, to.name+" (undo)", RenameNoReplace); err == nil {
			u.aside[x.was.node] = here
			return true
		}
	}
	return false
}

// settle puts what was put out of the way back to where it was, if it did not get its old name.
func (u *undoer) settle() {
	for node, at := range u.aside {
		if here, ok := u.r.nameOf(node); ok && here != u.all[node].was.at() {
			_, _, _ = u.r.Rename(here.parent, here.name, at.parent, at.name, RenameNoReplace)
		}
	}
}
