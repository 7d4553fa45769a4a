package namespace

import (
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// rootMode and rootOwner are what the root has until somebody says otherwise; the owner stands
// for the person whose files these are (fs.OwnerID).
const (
	rootMode  = 0o755
	rootOwner = ^uint32(0)
)

// entry is what f shows as s.
func (t *tx) entry(f folder, s *merge.Shown) Entry {
	e := Entry{ID: s.ID, Parent: f.id, Name: s.Name}
	if s.IsDir() {
		t.fillDir(&e, s.Members)
		return e
	}
	of := t.node(s.ID)
	if s.Of != (NodeID{}) {
		of = t.node(s.Of)
		e.Conflict = &Conflict{Of: s.Of}
	} else if s.Displaced() {
		e.Conflict = &Conflict{}
	}
	if e.Conflict != nil {
		by, when := s.Origin()
		e.Conflict.Device, e.Conflict.When = by.Device, when.Time()
	}
	g := s.Group
	if f := t.file(of); f != of && s.Of.IsZero() {
		gs, _ := f.parts()
		of, g, e.ID = f, &gs[0], f.ID
	}
	t.fillFile(&e, of, g)
	return e
}

// fillFile sets the attributes of the group g of a file. A hard link to nothing shows as an
// empty file.
func (t *tx) fillFile(e *Entry, n *node, g *merge.Group) {
	body, v := g.Best.Body, g.Best
	e.Kind, e.Content, e.Target, e.Rdev = body.Bytes.Kind, body.Bytes.Content, body.Bytes.Target, body.Bytes.Rdev
	if e.Kind == merge.Link {
		e.Kind = File
	}
	e.Mode, e.UID, e.GID = body.Mode, body.UID, body.GID
	e.Mtime, e.Atime = body.Mtime, body.Mtime
	e.Nlink = 1
	e.Ctime = v.T.Nanos()
	for _, u := range g.Versions {
		e.Versions = append(e.Versions, u.Dot)
	}
	e.Writer, e.Stamp = v.Dot.Writer.Device, v.T
	if e.Conflict != nil && !e.Conflict.Of.IsZero() {
		return // attributes are the file's, not the copy's
	}
	if e.Nlink += t.linkNames(n.ID); !n.by.IsZero() {
		e.Nlink-- // it has no name but its links'
	}
	overrule(e, &n.Node, v.T, body.Bytes)
	e.Ctime = max(e.Ctime, n.Changed().Nanos())
}

// overrule applies the attribute registers. Times count only for the bytes they were set on,
// and if they are newer than the version shown (N11).
func overrule(e *Entry, n *merge.Node, shown merge.Stamp, b merge.Bytes) {
	if v := n.Mode.Newest(); v != nil {
		e.Mode, _ = decodeMode(v.Value)
	}
	if v := n.Owner.Newest(); v != nil {
		o, _ := decodeOwner(v.Value)
		e.UID, e.GID = o.uid, o.gid
	}
	of := func(bytes [16]byte) bool { return bytes == hashBytes(b) }
	if v := newestTimes(n.Times, of); v != nil && v.T > shown {
		x := timesOf(v)
		e.Mtime, e.Atime = x.mtime, x.atime
	}
}

// fillDir sets the attributes of a directory, those of the first of its members.
func (t *tx) fillDir(e *Entry, members []NodeID) {
	n := t.node(e.ID)
	e.Kind, e.Nlink = Dir, 1
	var born merge.Stamp
	if gs, _ := n.parts(); len(gs) > 0 {
		best := gs[0].Best
		born = best.T
		e.Mode, e.UID, e.GID, e.Mtime = best.Body.Mode, best.Body.UID, best.Body.GID, best.Body.Mtime
		e.Versions, e.Writer, e.Stamp = gs[0].Dots(), best.Dot.Writer.Device, best.T
	} else {
		b := t.inherit(n)
		e.Mode, e.UID, e.GID = b.Mode, b.UID, b.GID
	}
	changed := merge.Stamp(0)
	for _, m := range members {
		changed = max(changed, t.dir(m).changed)
	}
	e.Mtime = max(e.Mtime, changed.Nanos())
	e.Atime = e.Mtime
	overrule(e, &n.Node, max(born, changed), merge.Bytes{Kind: Dir})
	e.Ctime = max(n.Stamp(), changed).Nanos()
}

// inherit returns the attributes of the next directory above n that has any: for the root, and
// for removed directories that are shown for their contents.
func (t *tx) inherit(n *node) merge.Body {
	b := merge.Body{Bytes: merge.Bytes{Kind: Dir}, Mode: rootMode, UID: rootOwner, GID: rootOwner}
	for range maxDepth {
		if n.ID == Root || !n.placed {
			break
		}
		n = t.node(n.at.parent)
		if gs, _ := n.parts(); len(gs) > 0 {
			b = *gs[0].Best.Body
			break
		}
	}
	var e Entry
	e.Mode, e.UID, e.GID = b.Mode, b.UID, b.GID
	overrule(&e, &n.Node, 0, merge.Bytes{})
	b.Mode, b.UID, b.GID = e.Mode, e.UID, e.GID
	return b
}

// root is the entry of the root.
func (t *tx) root() Entry {
	e := Entry{ID: Root, Parent: Root}
	t.fillDir(&e, []NodeID{Root})
	return e
}

// present returns the contents of the shown group of n as a body that carries the attributes
// in effect: what a new version starts from.
func (t *tx) present(n *node) merge.Body {
	gs, _ := n.parts()
	if len(gs) == 0 {
		return t.inherit(n)
	}
	b := *gs[0].Best.Body
	e := Entry{Mode: b.Mode, UID: b.UID, GID: b.GID, Mtime: b.Mtime}
	overrule(&e, &n.Node, gs[0].Best.T, b.Bytes)
	b.Mode, b.UID, b.GID = e.Mode, e.UID, e.GID
	return b
}

// fast builds the entry of a node that is alone under its name and has no conflict copies:
// nearly every one.
func (t *tx) fast(f folder, name string, ids []NodeID) (Entry, bool) {
	if len(ids) != 1 || len(f.members) != 1 {
		return Entry{}, false
	}
	n := t.node(ids[0])
	e := Entry{ID: n.ID, Parent: f.id, Name: name}
	if n.ID.IsDir() {
		t.fillDir(&e, ids)
		return e, true
	}
	gs, _ := n.parts()
	if len(gs) != 1 || !gs[0].Bytes.Link.IsZero() {
		return Entry{}, false
	}
	t.fillFile(&e, n, &gs[0])
	return e, true
}
