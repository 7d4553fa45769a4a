package namespace

import (
	"github.com/shelffs/shelf/internal/errs"
)

// Rename moves a name, as rename(2) and renameat2(2) do. The source keeps its id; a replaced
// target is removed, and its explicit placements pass to the source. It returns the entry
// moved and the one replaced or exchanged (nil for none; Nlink: names left). Loop, NotEmpty,
// IsDir, NotDir, Exist, NotExist.
func (r *Replica) Rename(srcDir NodeID, src string, dstDir NodeID, dst string, flag RenameFlag) (moved Entry, replaced *Entry, err error) {
	const op = "namespace.Rename"
	err = r.update(op, func(t *tx) error {
		m, err := t.plan(op, srcDir, src, dstDir, dst, flag)
		if err != nil {
			return err
		}
		if m.same {
			moved = t.entry(m.from.in, m.from.it)
			return nil
		}
		if m.to.it != nil {
			e := t.entry(m.to.in, m.to.it)
			replaced = &e
		}
		if flag == RenameExchange {
			t.exchange(m, src, dst)
		} else if err := t.rename(op, m, dst, replaced); err != nil {
			return err
		}
		if t.err != nil {
			return t.err
		}
		f, err := t.open(op, dstDir)
		if err != nil {
			return err
		}
		it := t.find(f, dst)
		if it == nil {
			return errs.E(op, errs.Stale, dst, nil)
		}
		moved = t.entry(f, it)
		return nil
	})
	return moved, replaced, err
}

// move is a rename that has been checked.
type move struct {
	from, to showing // to.it is nil if the name is free
	same     bool    // both names are the same file already: nothing to do
}

func (t *tx) plan(op string, srcDir NodeID, src string, dstDir NodeID, dst string, flag RenameFlag) (move, error) {
	bad := func(k errs.Kind, what string) (move, error) { return move{}, errs.E(op, k, what, nil) }
	if len(dst) > MaxName {
		return bad(errs.NameTooLong, "")
	}
	if !validName(dst) || flag > RenameExchange {
		return bad(errs.Invalid, "")
	}
	sf, err := t.open(op, srcDir)
	if err != nil {
		return move{}, err
	}
	df, err := t.open(op, dstDir)
	if err != nil {
		return move{}, err
	}
	m := move{from: t.showingAt(sf, src), to: t.showingAt(df, dst)}
	a, b := m.from.it, m.to.it
	switch {
	case a == nil:
		return bad(errs.NotExist, src)
	case b == nil && flag == RenameExchange:
		return bad(errs.NotExist, dst)
	case b != nil && flag == RenameNoReplace:
		return bad(errs.Exist, dst)
	case a.IsDir() && t.within(df.id, a.ID):
		if b == nil || b.ID != a.ID {
			return bad(errs.Loop, src)
		}
	case b != nil && b.IsDir() && flag == RenameExchange && t.within(sf.id, b.ID) && a.ID != b.ID:
		return bad(errs.Loop, dst)
	}
	if b == nil {
		return m, nil
	}
	ea, eb := t.entry(sf, a), t.entry(df, b)
	switch {
	case ea.ID == eb.ID:
		m.same = true
	case flag == RenameExchange:
	case a.IsDir() && !b.IsDir():
		return bad(errs.NotDir, dst)
	case !a.IsDir() && b.IsDir():
		return bad(errs.IsDir, dst)
	case b.IsDir() && !t.empty(folder{b.ID, b.Members}):
		return bad(errs.NotEmpty, dst)
	}
	return m, nil
}

// rename carries a checked move out: the target goes first, then the source is placed (N9,
// N16).
func (t *tx) rename(op string, m move, dst string, replaced *Entry) error {
	t.revive(m.to.in)
	t.revive(m.from.in)
	if m.from.it.IsDir() {
		t.pinCuts()
	}
	var policies []policy
	if m.to.it != nil {
		policies = t.policiesOf(replaced.ID)
		gone, err := t.remove(op, m.to)
		if err != nil {
			return err
		}
		*replaced = gone
	}
	from, ok := t.again(m.from)
	if !ok {
		return errs.E(op, errs.Stale, "", nil)
	}
	if !from.it.IsDir() {
		from = t.own(from)
	}
	to := t.folder(m.to.in.id)
	t.pinFor(from.in, from.it.Raw, from.it.ID)
	t.pinFor(to, dst, from.it.ID)
	t.moveTo(from, to, dst)
	if replaced != nil && replaced.Nlink == 0 {
		file := t.file(t.node(from.it.ID)).ID
		for _, p := range policies {
			t.putAttr(regID{node: file, kind: regPolicy, sub: string(p.dev[:])}, encodePolicy(p.how), t.stamp(file))
		}
	}
	return nil
}

// again finds an entry anew after something else was changed.
func (t *tx) again(s showing) (showing, bool) {
	if s.it.IsDir() {
		return t.show(s.it.Members[0])
	}
	return t.show(s.it.ID)
}

// exchange lets two entries change places.
func (t *tx) exchange(m move, src, dst string) {
	t.revive(m.to.in)
	t.revive(m.from.in)
	if m.from.it.IsDir() || m.to.it.IsDir() {
		t.pinCuts()
	}
	var ends [2]showing
	for i, s := range []showing{m.from, m.to} {
		if s, ok := t.again(s); ok {
			if !s.it.IsDir() {
				s = t.own(s)
			}
			t.pinFor(s.in, s.it.Name, s.it.ID)
			ends[i] = s
		}
	}
	for i := range ends { // names may have been pinned in between
		if ends[i].it == nil {
			return
		}
		if s, ok := t.again(ends[i]); ok {
			ends[i] = s
		}
	}
	t.moveTo(ends[0], ends[1].in, dst)
	t.moveTo(ends[1], ends[0].in, src)
}
