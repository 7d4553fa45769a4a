package namespace

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// Bring sees to it that the blocks of a content are durable on this device, as they must be before
// a record of the node names them. named is called when one does.
type Bring func(ctx context.Context, id NodeID, c blocks.Content) (named func() error, err error)

// Put is one path of a restore or an undo. Err says why nothing was done about it: Exist, Stale
// (somebody changed it since), NotExist (its directory is gone), or what Bring answered.
type Put struct {
	Path string
	Kind Kind
	Size uint64
	From string // undo: where it was moved back from
	Err  error
}

// burstGap is the longest quiet time within one burst of changes of a device.
const burstGap = 5 * time.Second

// Restore brings an old state back: to its path or, if to is not empty, to that one. It consists of
// ordinary operations, so it shows on all devices and can be undone. Missing directories on the way
// are made. A file that is there gets the old contents; what else is there is left alone (Exist).
// A directory comes with what was in it before the burst of changes that took it away; what is
// there of it already stays. each is told every path that comes back, or can't. The error is of kind Interrupted, or the
// first of the paths.
func (r *Replica) Restore(ctx context.Context, f Former, to string, bring Bring, each func(Put)) error {
	const op = "namespace.Restore"
	if to == "" {
		var err error
		if to, err = r.FormerPath(&f); err != nil {
			return err
		}
	}
	names := splitPath(to)
	if len(names) == 0 && f.ID != Root {
		return errs.E(op, errs.Invalid, "/", nil)
	}
	r.reverts.Add(1)
	defer r.reverts.Add(-1)
	w := restorer{r: r, ctx: ctx, bring: bring, each: each, when: f.Until() - 1, back: map[NodeID]NodeID{}, maker: r.making()}
	if f.Key.Until == 0 { // it shows
		w.when = r.cfg.Clock().UnixNano()
	}
	if f.Kind == Dir && f.How != Moved {
		var err error
		if w.when, err = r.beforeBurst(f); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		w.below(Root, Root, "")
		return errors.Join(w.err, w.end())
	}
	dir, err := w.dirs(op, names[:len(names)-1])
	if err == nil {
		if now, err := r.Get(f.ID); err == nil && (f.How == Removed || f.How == Replaced) && dir == f.Parent && names[len(names)-1] == f.Name && same(f.Entry, now) {
			w.back[f.ID] = f.ID // it lost one of its names
		}
		w.put(f.Entry, dir, strings.Join(names, "/"), true)
		err = w.err
	}
	return errors.Join(err, w.end())
}

type restorer struct {
	r     *Replica
	ctx   context.Context
	bring Bring
	each  func(Put)
	when  int64 // trees as of then
	err   error
	back  map[NodeID]NodeID // files that are back, and as what
	maker
}

// put restores one entry and what is below it. over: it replaces a file's contents.
func (w *restorer) put(was Entry, dir NodeID, path string, over bool) {
	const op = "namespace.Restore"
	if err := w.ctx.Err(); err != nil {
		w.err = errs.E(op, errs.Interrupted, path, err)
		return
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	e, done, err := w.one(was, dir, name, over)
	if done || err != nil {
		w.each(Put{Path: path, Kind: was.Kind, Size: was.Content.Size, Err: err})
	}
	if err != nil {
		if w.err == nil {
			w.err = err
		}
		return
	}
	if was.Kind == Dir {
		w.below(was.ID, e.ID, path+"/")
	}
}

// below restores what was in a directory into one, whose path ends with a slash.
func (w *restorer) below(was, dir NodeID, path string) {
	kids, err := w.r.At(was, w.when)
	if err != nil {
		w.err = err
		return
	}
	for _, k := range kids {
		if w.put(k, dir, path+k.Name, false); errs.Is(w.err, errs.Interrupted) {
			return
		}
	}
}

// one restores one entry. It is not done if all is there already.
func (w *restorer) one(was Entry, dir NodeID, name string, over bool) (now Entry, done bool, err error) {
	const op = "namespace.Restore"
	now, err = w.r.Lookup(dir, name)
	switch {
	case errs.Is(err, errs.NotExist):
		now, err = w.again(was, dir, name)
		return now, true, err
	case err != nil:
		return now, false, err
	case was.Kind == Dir && now.Kind == Dir || same(was, now):
		w.back[was.ID] = now.ID
		return now, false, nil
	case was.Kind != File || now.Kind != File || !over:
		return now, false, errs.E(op, errs.Exist, name, nil)
	}
	now, err = w.r.rewrite(w.ctx, now.ID, was, w.when, w.bring)
	return now, true, err
}

// again makes a free name show what it showed: a hard link, if the file is back under another name.
func (w *restorer) again(was Entry, dir NodeID, name string) (e Entry, err error) {
	if id, ok := w.back[was.ID]; ok && was.Kind != Dir {
		if _, err = w.r.Link(id, dir, name); err == nil {
			e, err = w.r.Lookup(dir, name)
		}
	} else {
		e, err = w.r.putBack(w.ctx, was, w.when, nameKey{dir, name}, w.bring)
	}
	if err == nil {
		w.back[was.ID] = e.ID
		w.made(e)
	}
	return e, err
}

// dirs returns the directory of a path and makes what is missing of it, as it last was.
func (w *restorer) dirs(op string, names []string) (dir NodeID, err error) {
	dir = Root
	for _, name := range names {
		e, err := w.r.Lookup(dir, name)
		if errs.Is(err, errs.NotExist) {
			e, err = w.again(w.r.lastDir(dir, name), dir, name)
		}
		if err != nil {
			return dir, err
		}
		if e.Kind != Dir {
			return dir, errs.E(op, errs.NotDir, name, nil)
		}
		dir = e.ID
	}
	return dir, nil
}

// same reports whether an entry shows the bytes of another.
func same(a, b Entry) bool {
	return a.Kind == b.Kind && a.Content == b.Content && a.Target == b.Target && a.Rdev == b.Rdev
}

// rewrite gives a file old contents, and the mode and owner that these had: they may have been for few eyes. Of another
// file it gives it the extended attributes as of when, too.
func (r *Replica) rewrite(ctx context.Context, id NodeID, was Entry, when int64, bring Bring) (Entry, error) {
	named := func() error { return nil }
	if was.Content.Size > 0 {
		var err error
		if named, err = bring(ctx, id, was.Content); err != nil {
			return Entry{}, err
		}
	}
	const op = "namespace.Restore"
	e, err := r.entryOp(op, func(t *tx) (NodeID, error) {
		if err := t.commitBytes(op, id, nil, was.Content, was.Mtime); err != nil {
			return id, err
		}
		now, stamp := t.get1(id), t.stamp(id)
		if now.Mode != was.Mode {
			t.putAttr(regID{node: id, kind: regMode}, encodeMode(was.Mode), stamp)
		}
		if now.UID != was.UID || now.GID != was.GID {
			t.putAttr(regID{node: id, kind: regOwner}, encodeOwner(owner{was.UID, was.GID}), stamp)
		}
		return id, nil
	})
	if err == nil {
		err = named()
	}
	if err == nil {
		err = r.copyXattrs(was.ID, id, when)
	}
	return e, err
}

// copyXattrs gives one node the extended attributes that another had at a moment.
func (r *Replica) copyXattrs(from, to NodeID, when int64) error {
	if from == to {
		return nil
	}
	names, err := r.ListXattrAt(from, when)
	for _, name := range names {
		var value []byte
		if value, err = r.XattrAt(from, name, when); err == nil {
			err = r.SetXattr(to, name, value, XattrAny)
		}
		if err != nil {
			return err
		}
	}
	return err
}

// putBack makes an old state show under a free name, with the extended attributes of when.
func (r *Replica) putBack(ctx context.Context, was Entry, when int64, to nameKey, bring Bring) (Entry, error) {
	const op = "namespace.Restore"
	id, err := r.idAgain(was, to.parent, to.name)
	if err != nil {
		return Entry{}, err
	}
	named := func() error { return nil }
	if was.Kind == File && was.Content.Size > 0 {
		if named, err = bring(ctx, id, was.Content); err != nil {
			return Entry{}, err
		}
	}
	e, err := r.comeBack(op, id, was, to.parent, to.name)
	if err == nil {
		err = named()
	}
	if err == nil {
		err = r.copyXattrs(was.ID, id, when)
	}
	return e, err
}

// beforeBurst is the moment before one device emptied a directory, which ended with f: what else it did at that
// time, and what it wrote in there, has nothing to do with that.
func (r *Replica) beforeBurst(f Former) (int64, error) {
	first, inside := f.Until(), map[NodeID]bool{f.ID: true}
	var together []Former // ended by one transaction: in no order, be it that one lies in the other
	look := func() {
		for n := 0; n != len(inside); {
			n = len(inside)
			for _, g := range together {
				if inside[g.Parent] {
					first = g.Until()
					inside[g.ID] = true
				}
			}
		}
		together = together[:0]
	}
	err := r.walkBack(FormerKey{Until: f.Key.Until + 1}, func(g Former) bool {
		if len(together) > 0 && g.Until() != together[0].Until() {
			look()
		}
		if first-g.Until() > int64(burstGap) {
			return false
		}
		if g.By == f.By && g.How != Overwritten && g.How != Replaced {
			together = append(together, g)
		}
		return true
	})
	look()
	return first - 1, err
}

// walkBack calls fn for the rows before a key, newest first, until it returns false. Writers pass
// in between.
func (r *Replica) walkBack(before FormerKey, fn func(Former) bool) error {
	const page = 1024
	for more := true; more; {
		var got []Former
		err := r.read(func(t *tx) error {
			rng := kv.Range{Prefix: t.db.Key(tableFormer), From: t.keys.former(before), After: true, Reverse: true}
			t.fail(t.src.ScanRange(rng, func(k kv.Key, row []byte) bool {
				at, ok := keyAt(k)
				f, err := decodeFormer(at, row, t.writers)
				if ok && err == nil {
					got = append(got, f)
				}
				before = at
				return len(got) < page
			}))
			return nil
		})
		if err != nil {
			return err
		}
		for _, f := range got {
			if !fn(f) {
				return nil
			}
		}
		more = len(got) == page
	}
	return nil
}
