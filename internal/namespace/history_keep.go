package namespace

import (
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// moments gives each transaction that ends states a time of its own. It needs Replica.writing.
type moments struct{ last uint64 }

// next is now, or just after the moment before; but if the clock was set back, that is followed.
func (m *moments) next(now time.Time) uint64 {
	at := uint64(max(now.UnixNano(), 1))
	if at <= m.last && m.last-at < uint64(time.Second) {
		at = m.last + 1
	}
	m.last = at
	return at
}

// historic writes history during one commit.
type historic struct {
	now, old *tx
	b        *kv.Batch
	at       uint64
	done     map[nameKey]bool // names whose old state has a row
	mine     bool             // this device has ended one
}

// keepHistory adds rows for the states that the transaction ends. d has compared it with the
// store. Needs writing.
func (t *tx) keepHistory(b *kv.Batch, d *differ) {
	if !t.r.keepsHistory() {
		return
	}
	h := historic{now: t, old: d.old, b: b}
	for i := range d.out {
		switch c := &d.out[i]; {
		case c.What == NameChanged && !c.Old.IsZero():
			h.name(c)
		case c.What == ContentChanged:
			h.content(c.Node)
		}
	}
	if h.mine {
		t.fail(b.Set(t.keys.state(stateLast), lastChange{at: h.at}.encode()))
	}
	t.fail(d.old.err)
	if now := t.r.cfg.Clock(); t.remote {
		for id, n := range t.nodes {
			if n.dirty {
				t.r.recent.note(id, now)
			}
		}
	}
}

func (r *Replica) keepsHistory() bool { return r.cfg.History > 0 && !r.blind() }

// name is for a name that stands for something else now.
func (h *historic) name(c *Change) {
	f := h.old.folder(c.Parent)
	if f.id != c.Parent { // one of several merged directories: told once
		return
	}
	e, ok := h.old.lookup(f, c.Name)
	if !ok || e.ID != c.Old {
		return
	}
	how, to := Removed, NodeID{}
	after, lives := h.now.entryOf(e.ID)
	switch {
	case lives && after.Nlink >= e.Nlink:
		how, to = Moved, e.ID
	case lives: // one of several hard links
		if to = e.ID; !c.Node.IsZero() {
			how, to = Replaced, c.Node
		}
	case e.Conflict != nil && !e.Conflict.Of.IsZero():
		how = Decided
	case !c.Node.IsZero():
		how, to = Replaced, c.Node
	}
	h.keep(e, how, to)
}

// content is for a file that shows other bytes.
func (h *historic) content(id NodeID) {
	empty := func(was *sum) bool { return was.bytes.Kind == File && was.size == 0 }
	if n := h.now.nodes[id]; n != nil && empty(&n.was) && len(n.was.copies) == 0 && !h.reverts() {
		return
	}
	if e, ok := h.old.entryOf(id); ok && (e.Kind != File || e.Content.Size > 0 || h.contested(e) || h.reverts()) {
		h.keep(e, Overwritten, id)
	}
}

// reverts reports whether a restore or an undo may end the states: what that does can be undone, so it loses none.
func (h *historic) reverts() bool { return !h.now.remote && h.now.r.reverts.Load() > 0 }

// contested reports whether a state was one version of a conflict: what a decision drops is kept,
// however young.
func (h *historic) contested(e Entry) bool {
	if e.Conflict != nil {
		return true
	}
	f := h.old.folder(e.Parent)
	if _, alone := h.old.fast(f, e.Name, h.old.name(f.id, e.Name).nodes); alone {
		return false
	}
	g := h.old.group(f, e.Name)
	return len(g.Derived) > 0
}

// keep writes one row, unless the state is not worth one.
func (h *historic) keep(e Entry, how How, to NodeID) {
	k := nameKey{e.Parent, e.Name}
	if h.done[k] {
		return
	}
	end := h.ender(e)
	if h.at == 0 {
		h.at = h.now.r.moments.next(h.now.r.cfg.Clock())
	}
	node := h.old.nameNode(e)
	f := Former{Entry: e, How: how, Local: !h.now.remote, From: h.old.since(e, int64(h.at)), node: node}
	by := ident.Writer{}
	switch {
	case end != nil:
		by = end.Dot.Writer
	case f.Local:
		by = h.now.author
	}
	if h.fleeting(e, node, how, end, by) && !h.reverts() && !h.contested(e) && !h.lived(e, how) {
		return
	}
	if h.done == nil {
		h.done = map[nameKey]bool{}
	}
	h.done[k] = true
	h.mine = h.mine || f.Local
	if how == Removed || how == Replaced {
		node = to
	}
	f.left = h.now.leaves(to, node)
	w := &h.now.r.numbers
	row := w.encodeFormer(&f, h.writer(e), by)
	f.Key = FormerKey{h.at, hashRow(row)}
	t := h.now
	t.fail(h.b.Set(t.keys.former(f.Key), row))
	t.fail(h.b.Set(t.db.Extend(t.keys.formerName(e.Parent, e.Name), f.Key.parts()...), nil))
	t.fail(h.b.Set(t.db.Extend(t.keys.formerNode(e.ID), f.Key.parts()...), nil))
}

// writer is who wrote what e shows.
func (h *historic) writer(e Entry) ident.Writer {
	for _, d := range e.Versions {
		if d.Writer.Device == e.Writer {
			return d.Writer
		}
	}
	return ident.Writer{}
}

// ender is the version that made e stop showing, nil if it is another node's.
func (h *historic) ender(e Entry) (end *merge.Version) {
	ids := []NodeID{e.ID}
	if e.Conflict != nil && !e.Conflict.Of.IsZero() {
		ids = append(ids, e.Conflict.Of)
	}
	if x := h.now.names[nameKey{e.Parent, e.Name}]; x != nil { // a hard link is another node
		ids = append(ids, x.was...)
	}
	for _, id := range ids {
		n := h.now.nodes[id]
		if n == nil {
			continue
		}
		for _, v := range slices.Concat(n.P, n.C) {
			old := slices.Contains(n.before.P, v) || slices.Contains(n.before.C, v)
			if !old && (end == nil || v.Compare(end) > 0) {
				end = v
			}
		}
		if end != nil {
			break
		}
	}
	return end
}

// fleeting reports whether a device ended what it had itself made a moment before. For another
// device's changes its stamps tell, and those of one millisecond tell nothing: a stamp above one from
// the future counts on from there; but it must not have shown here for longer.
func (h *historic) fleeting(e Entry, node NodeID, how How, end *merge.Version, by ident.Writer) bool {
	writer, stamp := e.Writer, e.Stamp
	if p := h.old.node(node).P.Winner(); (node != e.ID || e.Nlink > 1) && how != Overwritten && p != nil { // one of several names: as young as that
		writer, stamp = p.Dot.Writer.Device, p.T
	}
	if by.Device != writer || by == (ident.Writer{}) {
		return false
	}
	made := stamp.Time()
	if !h.now.remote {
		age := time.Unix(0, int64(h.at)).Sub(made)
		return age >= 0 && age < fleeting
	}
	if end == nil || !h.now.r.recent.has(e.ID, h.now.r.cfg.Clock()) {
		return false
	}
	age := end.T.Time().Sub(made)
	return age > 0 && age < fleeting
}

// lived reports whether a file that is gone now had other states worth a row before this one: then its
// last one is, too, however short it was.
func (h *historic) lived(e Entry, how How) (yes bool) {
	if _, lives := h.now.entryOf(e.ID); !lives && (how == Removed || how == Replaced) {
		t := h.old
		t.fail(t.src.ScanKeys(t.keys.formerNode(e.ID), func(kv.Key) bool {
			yes = true
			return false
		}))
	}
	return yes
}

// since is from when e showed, as far as stamps tell, but not after now. An automatic placement says
// only what showed before. A stamp from the future tells nothing: then it is 0.
func (t *tx) since(e Entry, now int64) int64 {
	s := e.Stamp
	if p := t.firstPlace(e.ID); p != nil && !p.Place.Auto {
		s = max(s, p.T)
	}
	if at := s.Nanos(); at <= now {
		return at
	}
	return 0
}

// nameNode is the node that has the name of an entry.
func (t *tx) nameNode(e Entry) NodeID {
	if e.Kind == Dir || e.Nlink == 1 && t.node(e.ID).by.IsZero() {
		return e.ID
	}
	if s := t.find(t.folder(e.Parent), e.Name); s != nil {
		return s.ID
	}
	return e.ID
}

// firstPlace is the placement of a node's first name, nil if there is none.
func (t *tx) firstPlace(id NodeID) *merge.Version {
	n := t.node(id)
	if !n.by.IsZero() {
		n = t.node(n.by)
	}
	return n.P.Winner()
}

// leaves describes a file for left; name is the node that has the name in question.
func (t *tx) leaves(id, name NodeID) (l left) {
	if id.IsZero() {
		return l
	}
	n := t.node(id)
	l.node = id
	if p := t.firstPlace(name); p != nil {
		l.place = p.Dot
	}
	if gs, _ := n.parts(); len(gs) > 0 {
		l.bytes = gs[0].Best.Dot
	}
	return l
}
