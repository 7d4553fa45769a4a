package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Keep says which versions of a conflict stay.
type Keep uint8

const (
	// KeepMine keeps the version that this device last wrote or gave its name: the newest of them; where there is
	// none, the one that has the name.
	KeepMine Keep = iota + 1
	// KeepTheirs keeps the other one, of which there must be only one.
	KeepTheirs
	// KeepBoth keeps all: what shows beside the name becomes a file of its own, under the name
	// it shows.
	KeepBoth
)

// Settled is what became of a conflict.
type Settled struct {
	Kept    []Entry        // as they show now
	Dropped []ClashVersion // as they showed before
}

// SettleClash ends the conflict that dir shows under name, for all devices: the whole of it if
// that is the name that the versions claim; if it is the name of one beside it, between this one
// and the version that has the name.
//
// It is made of ordinary operations. A dropped copy is discarded (N6), a dropped file removed
// (N8). Bytes kept that do not have the name get it: those of a conflict copy by an edit of the
// file that covers all dropped, a file of its own by a rename over the other (N16). Those that have
// it are said again (N9): whoever removes them elsewhere has not seen that they are kept. So whoever
// decides differently elsewhere at the same time makes an edit against an edit: a new conflict;
// or he discards what the other edit keeps: that stays.
//
// NotExist: there is no conflict (any more); Exist: several others could be meant by KeepTheirs;
// IsDir: a directory has the name, which can only stay (KeepBoth).
func (r *Replica) SettleClash(dir NodeID, name string, keep Keep) (out Settled, err error) {
	const op = "namespace.SettleClash"
	err = r.update(op, func(t *tx) error {
		f, err := t.open(op, dir)
		if err != nil {
			return err
		}
		s := t.showingAt(f, name)
		if s.it == nil || len(s.group.Derived) == 0 {
			return errs.E(op, errs.NotExist, name, nil)
		}
		all := s.group.All()
		if i := slices.IndexFunc(all, func(x *merge.Shown) bool { return x.Name == name }); i > 0 {
			all = []*merge.Shown{all[0], all[i]}
		}
		kept := all
		if keep != KeepBoth {
			if all[0].IsDir() {
				return errs.E(op, errs.IsDir, name, nil)
			}
			i, err := t.pick(op, f, all, keep)
			if err != nil {
				return err
			}
			kept = all[i : i+1]
		}
		for _, x := range all {
			if !slices.Contains(kept, x) {
				out.Dropped = append(out.Dropped, t.clashVersion(f, x))
			}
		}
		t.revive(f)
		if keep == KeepBoth {
			t.keepAll(s, all)
		} else if err := t.keepOne(op, s, all, kept[0]); err != nil {
			return err
		}
		if t.err != nil {
			return t.err
		}
		for _, x := range kept {
			at := x.Name
			if keep != KeepBoth {
				at = all[0].Name
			}
			e, ok := t.lookup(t.folder(dir), at)
			if !ok {
				return errs.E(op, errs.Stale, at, nil)
			}
			out.Kept = append(out.Kept, e)
		}
		return nil
	})
	if err != nil {
		return Settled{}, err
	}
	if keep == KeepBoth && r.keepsHistory() { // undo does not go on to something older
		k := r.making()
		k.m.both = true
		if err := k.end(); err != nil {
			return Settled{}, err
		}
	}
	return out, nil
}

// pick finds the version to keep.
func (t *tx) pick(op string, f folder, all []*merge.Shown, keep Keep) (int, error) {
	versions := make([]ClashVersion, len(all))
	for i, s := range all {
		versions[i] = t.clashVersion(f, s)
	}
	i := mine(versions, t.author.Device)
	switch {
	case keep == KeepMine:
		return i, nil
	case keep != KeepTheirs:
		return 0, errs.E(op, errs.Invalid, "keep", nil)
	case len(all) > 2:
		return 0, errs.E(op, errs.Exist, all[0].Name, nil)
	}
	return 1 - i, nil
}

// mine finds the version that KeepMine means: the newest that is dev's, else the newest that dev once had a part in,
// else the first.
func mine(versions []ClashVersion, dev ident.DeviceID) int {
	part := func(v ClashVersion) bool {
		return slices.ContainsFunc(v.Versions, func(d Dot) bool { return d.Writer.Device == dev })
	}
	for _, whose := range []func(ClashVersion) bool{func(v ClashVersion) bool { return v.By == dev }, part} {
		best := -1
		for i, v := range versions {
			if whose(v) && (best < 0 || v.When > versions[best].When) {
				best = i
			}
		}
		if best >= 0 {
			return best
		}
	}
	return 0
}

// keepAll makes every version a file of its own, under the name it shows. As after a rename, its
// bytes are said again (N9): who drops one elsewhere has not seen that it was kept.
func (t *tx) keepAll(s showing, all []*merge.Shown) {
	for i, x := range all {
		if i > 0 {
			t.pinDerived(&s.group, x)
		}
		t.saveShown(x)
	}
}

// saveShown says the bytes of a file again, and of those that fold with it.
func (t *tx) saveShown(x *merge.Shown) {
	if x.Of != (NodeID{}) || x.IsDir() {
		return
	}
	for _, n := range append([]NodeID{x.ID}, x.Twins...) {
		t.save(n)
	}
}

// keepOne lets one version have the name, and drops the others.
func (t *tx) keepOne(op string, s showing, all []*merge.Shown, kept *merge.Shown) error {
	first := all[0].ID
	file := first
	if !all[0].IsDir() {
		file = t.file(t.node(first)).ID
	}
	if kept.Of != (NodeID{}) && kept.Of != file { // before the file that it hangs on is dropped
		t.pinDerived(&s.group, kept)
	}
	for _, copies := range []bool{true, false} { // a file that is removed would make its copies files
		for _, x := range all {
			if x == kept || x.ID == first || (x.Of != NodeID{}) != copies {
				continue
			}
			if now, ok := t.show(x.ID); ok {
				t.removeShown(now)
			}
		}
	}
	if kept.ID == first {
		t.saveShown(kept)
		return nil
	}
	from, ok1 := t.show(kept.ID)
	to, ok2 := t.show(first)
	if !ok1 || !ok2 {
		return errs.E(op, errs.Stale, all[0].Name, t.err)
	}
	if from.it.Of == file {
		t.promote(to, file, from.it)
		return nil
	}
	e := t.entry(to.in, to.it)
	return t.rename(op, move{from: from, to: to}, all[0].Name, &e)
}

// promote gives the file n the bytes of one of its conflict copies: an edit that covers what the file
// shows, and says again what the copy says. The copy's own versions stay beside it, in the same
// group: whoever keeps their bytes is known to keep them.
func (t *tx) promote(s showing, n NodeID, c *merge.Shown) {
	t.pinFor(s.in, c.Name, c.ID)
	for _, d := range s.group.Derived { // N14, N5: what would fold with it stays apart
		if d.Of == (NodeID{}) && d.ID != n && d.Group.Bytes == c.Group.Bytes {
			t.pin(&s.group, d)
		}
	}
	if s.it.ID == n { // and not a link to it
		for _, twin := range s.it.Twins {
			t.dropName(&s.group, twin)
		}
	}
	x := t.node(n)
	gs, rest := x.parts()
	cover := append(slices.Clone(rest), gs[0].Versions...)
	body := t.present(x)
	body.Bytes, body.Mtime = c.Group.Bytes, c.Group.Best.Body.Mtime
	v := &merge.Version{Class: merge.Strong, Body: &body, T: t.stamp(n)}
	for _, u := range c.Group.Versions {
		v.Past = v.Past.Join(u.Past)
		if u.Class == merge.Weak {
			cover = append(cover, u)
		}
	}
	t.write(regID{node: n, kind: regBytes}, v, cover)
}
