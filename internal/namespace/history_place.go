package namespace

import (
	"slices"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// FormerPath is the path of an old state: that of its directory now, or last, and its name.
func (r *Replica) FormerPath(f *Former) (path string, err error) {
	err = r.read(func(t *tx) error {
		path = t.oncePath(f.Parent, f.Name)
		return nil
	})
	return path, err
}

// PathThen is the path that an old state had, as far as history knows.
func (r *Replica) PathThen(f *Former) (path string, err error) {
	err = r.read(func(t *tx) error {
		names, dir := []string{f.Name}, f.Parent
		for range maxDepth {
			e, ok := t.then(dir, f.Until()-1)
			if dir == Root || !ok {
				break
			}
			names, dir = append(names, e.Name), e.Parent
		}
		slices.Reverse(names)
		path = strings.Join(names, "/")
		return nil
	})
	return path, err
}

// then is where a directory was at a moment, or last.
func (t *tx) then(dir NodeID, when int64) (e Entry, ok bool) {
	past := t.formers(t.keys.formerNode(dir))
	for _, f := range slices.Backward(past) {
		if f.Until() > when {
			return f.Entry, true
		}
	}
	if e, ok = t.entryOf(dir); !ok && len(past) > 0 {
		return past[0].Entry, true
	}
	return e, ok
}

// oncePath climbs from a directory that may be gone.
func (t *tx) oncePath(dir NodeID, name string) string {
	names := []string{name}
	for range maxDepth {
		if dir == Root {
			break
		}
		if s, ok := t.show(dir); ok {
			names, dir = append(names, s.it.Name), s.in.id
			continue
		}
		past := t.formers(t.keys.formerNode(dir))
		if len(past) == 0 {
			break
		}
		names, dir = append(names, past[0].Name), past[0].Parent
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// idAgain is the id under which an old state comes back as name of dir: in its old place, if the node
// is known and gone, the same, so that it has its extended attributes and placements again; else a
// new one.
func (r *Replica) idAgain(was Entry, dir NodeID, name string) (id NodeID, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	t := r.reader()
	if was.Parent == t.formerFolder(dir).id && was.Name == name && t.returns(was.ID) {
		return was.ID, t.err
	}
	return t.newID(dir, was.Kind == Dir)
}

// returns reports whether a node is known and gone.
func (t *tx) returns(id NodeID) bool {
	n := t.node(id)
	return !n.placed && !n.Alive() && len(n.P) > 0
}

// comeBack makes dir show an old state under name, as the node id (idAgain). Exist. Stale: the node
// has come back otherwise.
func (r *Replica) comeBack(op string, id NodeID, was Entry, dir NodeID, name string) (Entry, error) {
	return r.entryOp(op, func(t *tx) (NodeID, error) {
		f, err := t.room(op, dir, name)
		if err != nil {
			return NodeID{}, err
		}
		if n := t.node(id); len(n.P) > 0 && !t.returns(id) {
			return id, errs.E(op, errs.Stale, name, nil)
		}
		body := merge.Body{Mode: was.Mode, UID: was.UID, GID: was.GID, Mtime: was.Mtime,
			Bytes: merge.Bytes{Kind: was.Kind, Content: was.Content, Target: was.Target, Rdev: was.Rdev}}
		if !validBytes(id, body.Bytes) {
			return id, errs.E(op, errs.Invalid, "", nil)
		}
		t.revive(f)
		if id.IsDir() {
			t.pinCuts()
		}
		stamp := t.stamp(id)
		t.putPlace(id, f.id, name, false, stamp)
		t.put(id, merge.Strong, &body, stamp)
		n := t.node(id) // registers from before would overrule the body
		if len(n.Mode) > 0 {
			t.putAttr(regID{node: id, kind: regMode}, encodeMode(was.Mode), stamp)
		}
		if len(n.Owner) > 0 {
			t.putAttr(regID{node: id, kind: regOwner}, encodeOwner(owner{was.UID, was.GID}), stamp)
		}
		return id, nil
	})
}

// lastDir is the directory that dir last showed under a name, or how a new one looks.
func (r *Replica) lastDir(dir NodeID, name string) (e Entry) {
	e = Entry{Kind: Dir, Mode: rootMode, UID: rootOwner, GID: rootOwner}
	_ = r.read(func(t *tx) error {
		_, past := t.named(dir, name)
		for _, f := range past {
			if f.Kind == Dir && f.How != Moved {
				e = f.Entry
				break
			}
		}
		return nil
	})
	return e
}

func splitPath(path string) (names []string) {
	for s := range strings.SplitSeq(path, "/") {
		if s != "" && s != "." {
			names = append(names, s)
		}
	}
	return names
}
