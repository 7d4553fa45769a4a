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
