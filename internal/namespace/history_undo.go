package namespace

import (
	"context"
	"errors"

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
	u := undoer{r: r, ctx: ctx, bring: bring, dry: dry, all: map[NodeID]undone{}, freed: map[nameKey]bool{}, maker: r.making()}
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
	for len(todo) > 0 { // what waits for its directory or its name gets them from others
		var wait []undone
		for _, x := range todo {
			if err := ctx.Err(); err != nil {
				return errs.E("namespace.Undo", errs.Interrupted, "", err)
			}
			p := x.put
			p.Err = u.one(x)
			if errs.Is(p.Err, errs.Exist) || errs.Is(p.Err, errs.NotExist) || errs.Is(p.Err, errs.NotEmpty) {
				wait = append(wait, x)
				continue
			}
			each(p)
		}
		if len(wait) == len(todo) {
			for _, x := range wait {
				p := x.put
				if p.Err = u.one(x); dry && u.promised(x) {
					p.Err = nil
				}
				each(p)
			}
			return nil
		}
		todo = wait
	}
	return nil
}

// undone is one file's way back: from what the newest change left to the oldest state.
type undone struct {
	was  Former
	left left
	how  How // of the newest
	put  Put // as it is told
}

type undoer struct {
	r     *Replica
	ctx   context.Context
	bring Bring
	dry   bool
	all   map[NodeID]undone
	freed map[nameKey]bool // names that will be free again
	maker
}

// plan finds one way for each file, newest change first.
func (u *undoer) plan(ended []Former) (todo []undone) {
	at := map[NodeID]int{}
	for _, f := range ended {
		i, ok := at[f.ID]
		if ok && todo[i].was.How == f.How && (f.How == Removed || f.How == Returned) { // a hard link: the file had two names
			todo = append(todo, undone{was: f, left: f.left, how: f.How})
			continue
		}
		if !ok {
			i, at[f.ID] = len(todo), len(todo)
			todo = append(todo, undone{left: f.left, how: f.How})
		}
		todo[i].was = f
	}
	for _, x := range todo {
		u.all[x.was.ID] = x
		if x.how == Moved || x.how == Overwritten { // what was overwritten may have been moved just after, without a row
			if e, err := u.r.Get(x.was.ID); err == nil && (e.Parent != x.was.Parent || e.Name != x.was.Name) {
				u.freed[nameKey{e.Parent, e.Name}] = true
			}
		}
	}
	for i := range todo {
		todo[i].put = u.describe(todo[i])
	}
	return todo
}

// promised reports whether only things stand in the way that the others of the plan remove.
func (u *undoer) promised(x undone) bool {
	k := nameKey{x.was.Parent, x.was.Name}
	_, err := u.r.Get(k.parent)
	if _, back := u.all[k.parent]; err != nil {
		return back
	}
	_, err = u.r.Lookup(k.parent, k.name)
	return errs.Is(err, errs.NotExist) || u.freed[k]
}

func (u *undoer) describe(x undone) Put {
	p := Put{Kind: x.was.Kind, Size: x.was.Content.Size}
	p.Path = u.path(x.was.Parent, x.was.Name)
	if x.how == Moved || x.how == Overwritten {
		if now, err := u.r.Path(x.was.ID); err == nil && now != p.Path {
			p.From = now
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

// one takes one way back. Stale: changed since. Exist, NotExist: its name is taken, its directory
// gone.
func (u *undoer) one(x undone) error {
	const op = "namespace.Undo"
	if x.was.How == Returned {
		return u.takeAway(x)
	}
	now, err := u.r.Get(x.was.ID)
	switch {
	case err == nil && (x.how == Overwritten || x.how == Moved || x.how == Returned):
		return u.revert(x, now)
	case err == nil: // one of several names; or somebody brought it back
		return u.relink(x, now)
	case !errs.Is(err, errs.Stale):
		return err
	case x.how == Overwritten || x.how == Moved:
		return errs.E(op, errs.Stale, "", nil)
	}
	return u.comeBack(x)
}

// mine reports whether nobody else has changed a node since a change left it so. What this device
// did to it since left no state of its own, or there would be a newer one.
func (u *undoer) mine(l left) bool {
	ok := false
	self := u.r.cfg.Self
	_ = u.r.read(func(t *tx) error {
		now := t.leaves(l.node)
		ok = (now.place == l.place || now.place.Writer.Device == self) && (now.bytes == l.bytes || now.bytes.Writer.Device == self)
		return nil
	})
	return ok
}

// revert moves a file back and gives it its contents back.
func (u *undoer) revert(x undone, now Entry) error {
	const op = "namespace.Undo"
	if !u.mine(x.left) {
		return errs.E(op, errs.Stale, "", nil)
	}
	if now.Parent != x.was.Parent || now.Name != x.was.Name {
		if _, err := u.r.Get(x.was.Parent); err != nil {
			return errs.E(op, errs.NotExist, "", nil)
		}
		flag := RenameNoReplace
		if other, err := u.r.Lookup(x.was.Parent, x.was.Name); err == nil {
			if !u.swapped(other.ID, now) {
				return errs.E(op, errs.Exist, "", nil)
			}
			flag = RenameExchange
		}
		if !u.dry {
			if _, _, err := u.r.Rename(now.Parent, now.Name, x.was.Parent, x.was.Name, flag); err != nil {
				return err
			}
		}
	}
	if same(x.was.Entry, now) || u.dry {
		return nil
	}
	if x.was.Kind != File {
		return errs.E(op, errs.Stale, "", nil)
	}
	_, err := u.r.rewrite(u.ctx, x.was.ID, x.was.Entry, u.bring)
	return err
}

// swapped reports whether a file goes back to the place that another is to leave.
func (u *undoer) swapped(id NodeID, place Entry) bool {
	x, ok := u.all[id]
	return ok && (x.how == Moved || x.how == Overwritten) && x.was.Parent == place.Parent && x.was.Name == place.Name && u.mine(x.left)
}

// comeBack makes a name show again what it showed.
func (u *undoer) comeBack(x undone) error {
	const op = "namespace.Undo"
	dir, name := x.was.Parent, x.was.Name
	if _, err := u.r.Get(dir); err != nil {
		return errs.E(op, errs.NotExist, "", nil)
	}
	now, err := u.r.Lookup(dir, name)
	switch {
	case errs.Is(err, errs.NotExist):
		if u.dry {
			return nil
		}
		e, err := u.r.putBack(u.ctx, x.was.Entry, dir, name, u.bring)
		if err == nil {
			u.made(e)
		}
		return err
	case err != nil:
		return err
	case u.freed[nameKey{dir, name}]: // it goes back where it came from first
		return errs.E(op, errs.Exist, "", nil)
	case x.how != Replaced || x.was.Kind != File || now.Kind != File || !u.took(x.left, now):
		return errs.E(op, errs.Exist, "", nil)
	case !u.mine(left{now.ID, x.left.place, x.left.bytes}):
		return errs.E(op, errs.Stale, "", nil)
	}
	// What was renamed over it came to be for that: it gets the old contents.
	if u.dry || same(x.was.Entry, now) {
		return nil
	}
	_, err = u.r.rewrite(u.ctx, now.ID, x.was.Entry, u.bring)
	return err
}

// relink gives a file that lives the name back that was taken from it.
func (u *undoer) relink(x undone, now Entry) error {
	const op = "namespace.Undo"
	if now.Parent == x.was.Parent && now.Name == x.was.Name && same(x.was.Entry, now) {
		return nil // as after an undo that was broken off, or took back a part
	}
	if x.how != Removed || !same(x.was.Entry, now) || now.Kind == Dir {
		return errs.E(op, errs.Stale, "", nil)
	}
	if _, err := u.r.Get(x.was.Parent); err != nil {
		return errs.E(op, errs.NotExist, "", nil)
	}
	if _, err := u.r.Lookup(x.was.Parent, x.was.Name); err == nil {
		return errs.E(op, errs.Exist, "", nil)
	}
	if u.dry {
		return nil
	}
	if _, err := u.r.Link(now.ID, x.was.Parent, x.was.Name); err != nil {
		return err
	}
	e, err := u.r.Lookup(x.was.Parent, x.was.Name)
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
	case now.ID != x.was.ID || !u.mine(x.left):
		return errs.E(op, errs.Stale, "", nil)
	case u.dry:
		return nil
	}
	_, err = u.r.Remove(x.was.Parent, x.was.Name, now.Kind == Dir)
	return err
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
