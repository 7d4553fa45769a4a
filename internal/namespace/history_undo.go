package namespace

import (
	"context"
	"errors"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
)

// LastChange lists the states that this device's last change ended, newest first; with burst those
// of all its changes before, back to a quiet gap. What was only made has ended nothing and is not
// among them, but for what a restore or an undo has made (Returned): that is one change, whole. But where
// an undo took back one change of a burst, burst means that burst, whole.
// NotExist: there is none. Exist: it kept both versions of a conflict (SettleClash), which ended nothing.
func (r *Replica) LastChange(burst bool) (out []Former, err error) {
	const op = "namespace.LastChange"
	last, m, err := r.lastMade()
	before := last.until()
	switch {
	case err != nil:
		return nil, errs.E(op, errs.Other, "", err)
	case m == nil:
	case m.both && !burst:
		return nil, errs.E(op, errs.Exist, "", nil)
	case m.part && burst:
		before = lastChange{at: m.of}.until()
	case !m.both:
		if out, err = m.undone(r); err != nil || len(out) > 0 {
			return out, err
		}
	}
	err = r.walkBack(before, func(f Former) bool {
		switch {
		case !f.Local:
			return true
		case len(out) == 0:
		case f.Key.Until == out[len(out)-1].Key.Until:
		case !burst || out[len(out)-1].Until()-f.Until() > int64(burstGap):
			return false
		}
		out = append(out, f)
		return true
	})
	if err == nil && len(out) == 0 {
		err = errs.E(op, errs.NotExist, "", nil)
	}
	return out, err
}

// Earlier reports whether this device's changes just before those that ended the given states belong to the
// same burst. Of a restore or an undo nothing does.
func (r *Replica) Earlier(ended []Former) (yes bool, err error) {
	if _, m, err := r.lastMade(); err != nil || m != nil || len(ended) == 0 {
		return false, err
	}
	first := ended[len(ended)-1]
	err = r.walkBack(FormerKey{Until: first.Key.Until}, func(f Former) bool {
		yes = f.Local && first.Until()-f.Until() <= int64(burstGap)
		return !f.Local
	})
	return yes, err
}

// Undo takes back changes of this device that ended the given states (LastChange), by ordinary
// operations: so it shows everywhere, and can itself be undone. Contents come back, names too, what
// was moved goes back; what was newly made stays. Nothing is touched that somebody changed since:
// each is told every path, with what stood in the way. dry: nothing is done, and only that is found
// out. The error is of kind Interrupted.
func (r *Replica) Undo(ctx context.Context, ended []Former, dry bool, bring Bring, each func(Put)) error {
	if !dry {
		r.reverts.Add(1)
		defer r.reverts.Add(-1)
	}
	u := undoer{
		r: r, ctx: ctx, bring: bring, dry: dry, maker: r.making(),
		all: map[NodeID]undone{}, freed: map[nameKey]bool{}, names: map[NodeID]int{}, gone: map[NodeID]bool{}, back: map[NodeID]bool{}, aside: map[NodeID]nameKey{},
	}
	part, err := r.Earlier(ended)
	if err == nil {
		err = u.run(u.plan(ended), each)
	}
	if dry {
		return err
	}
	u.m.part = part
	return errors.Join(err, u.end())
}

func (u *undoer) run(todo []undone, each func(Put)) error {
	ctx, dry := u.ctx, u.dry
	defer u.settle()
	for len(todo) > 0 { // what waits for its directory or its name gets them from others
		var wait []undone
		for _, x := range todo {
			if err := ctx.Err(); err != nil {
				return errs.E("namespace.Undo", errs.Interrupted, "", err)
			}
			p := x.put
			p.Err = u.one(x)
			switch errs.KindOf(p.Err) {
			case errs.Exist, errs.NotExist, errs.NotEmpty, errs.Loop:
				wait = append(wait, x)
				continue
			}
			each(p)
		}
		if len(wait) == len(todo) && !u.makeWay(wait) {
			for _, x := range wait {
				p := x.put
				switch p.Err = u.one(x); {
				case dry && u.promised(x):
					p.Err = nil
				case errs.Is(p.Err, errs.Loop):
					p.Err = errs.E("namespace.Undo", errs.Exist, "", p.Err)
				}
				each(p)
			}
			return nil
		}
		todo = wait
	}
	return nil
}

// undone is the way back of one name: from what the newest change left to the oldest state.
type undone struct {
	was  Former // with the oldest contents of the file
	left left
	how  How // of the newest
	put  Put // as it is told
}

type undoer struct {
	r     *Replica
	ctx   context.Context
	bring Bring
	dry   bool
	all   map[NodeID]undone  // by the node that has the name
	freed map[nameKey]bool   // names that will be free again
	names map[NodeID]int     // of files, how many come back
	gone  map[NodeID]bool    // files of which a name was removed
	back  map[NodeID]bool    // … and that are back, because this has placed them
	aside map[NodeID]nameKey // where what had to be put out of the way was
	maker
}

// plan finds one way for each name, newest change first. A file with several has as many, and one past. What had a
// name only after another had it does not get it back.
func (u *undoer) plan(ended []Former) (todo []undone) {
	at, oldest, first := map[NodeID]int{}, map[NodeID]Entry{}, map[nameKey]NodeID{}
	for _, f := range ended {
		i, ok := at[f.node]
		if !ok {
			i, at[f.node] = len(todo), len(todo)
			todo = append(todo, undone{left: f.left, how: f.How})
		}
		if todo[i].was = f; f.How != Returned {
			oldest[f.ID] = f.Entry
		}
	}
	for _, f := range ended {
		if i := at[f.node]; todo[i].was.Key == f.Key && f.How != Returned {
			first[f.at()] = f.node
		}
	}
	todo = slices.DeleteFunc(todo, func(x undone) bool { return x.was.How != Returned && first[x.was.at()] != x.was.node })
	for i := range todo {
		x := &todo[i]
		if o, ok := oldest[x.was.ID]; ok && x.was.How != Returned {
			o.Parent, o.Name = x.was.Parent, x.was.Name
			x.was.Entry = o
		}
		u.all[x.was.node] = *x
		u.names[x.was.ID]++
		u.gone[x.was.ID] = u.gone[x.was.ID] || x.how != Moved && x.how != Overwritten
		if x.was.How == Returned {
			u.freed[x.was.at()] = true
		}
		if x.how == Moved || x.how == Overwritten { // what was overwritten may have been moved just after, without a row
			if k, ok := u.r.nameOf(x.was.node); ok && k != x.was.at() {
				u.freed[k] = true
			}
		}
	}
	for i := range todo {
		todo[i].put = u.describe(todo[i])
	}
	return todo
}

// at is the name that showed the state.
func (f Former) at() nameKey { return nameKey{f.Parent, f.Name} }

// nameOf is where a node shows under a name of its own.
func (r *Replica) nameOf(node NodeID) (k nameKey, ok bool) {
	_ = r.read(func(t *tx) error {
		if n := t.node(node); !n.by.IsZero() {
			return nil // only its links show it
		}
		s, shown := t.show(node)
		if ok = shown; ok {
			k = nameKey{s.in.id, s.it.Name}
		}
		return nil
	})
	return k, ok
}

// promised reports whether only things stand in the way that the others of the plan remove.
func (u *undoer) promised(x undone) bool { return u.promisedIn(x, maxDepth) }

func (u *undoer) promisedIn(x undone, depth int) bool {
	k := x.was.at()
	if _, err := u.r.Get(k.parent); err != nil {
		p, back := u.all[k.parent]
		return back && depth > 0 && (u.one(p) == nil || u.promisedIn(p, depth-1))
	}
	_, err := u.r.Lookup(k.parent, k.name)
	return errs.Is(err, errs.NotExist) || u.freed[k]
}

func (u *undoer) describe(x undone) Put {
	p := Put{Kind: x.was.Kind, Size: x.was.Content.Size}
	p.Path = u.path(x.was.Parent, x.was.Name)
	if k, ok := u.r.nameOf(x.was.node); ok && (x.how == Moved || x.how == Overwritten) {
		now := Former{Entry: Entry{Parent: k.parent, Name: k.name}}
		if from, err := u.r.FormerPath(&now); err == nil && from != p.Path {
			p.From = from
		}
	}
	return p
}

// path is the path of a name once everything is taken back.
func (u *undoer) path(dir NodeID, name string) string {
	names := name
	for range maxDepth {
		x, ok := u.all[dir]
		if !ok {
			break
		}
		names, dir = x.was.Name+"/"+names, x.was.Parent
	}
	at := Former{Entry: Entry{Parent: dir, Name: names}}
	path, err := u.r.FormerPath(&at)
	if err != nil {
		return names
	}
	return path
}

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
