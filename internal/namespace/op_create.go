package namespace

import (
	"encoding/binary"
	"io"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Create makes a node. Exist, NotDir, NameTooLong, Invalid, NotExist (dir was removed).
func (r *Replica) Create(dir NodeID, name string, s Spec) (Entry, error) {
	const op = "namespace.Create"
	return r.entryOp(op, func(t *tx) (NodeID, error) {
		f, err := t.room(op, dir, name)
		if err != nil {
			return NodeID{}, err
		}
		id := s.ID
		if id.IsZero() {
			if id, err = t.newID(dir, s.Kind == Dir); err != nil {
				return NodeID{}, err
			}
		} else if id.IsDir() != (s.Kind == Dir) || !t.node(id).bare() {
			return NodeID{}, errs.E(op, errs.Invalid, "id", nil)
		}
		body := merge.Body{Mode: s.Mode, UID: s.UID, GID: s.GID, Bytes: merge.Bytes{
			Kind: s.Kind, Content: s.Content, Target: s.Target, Rdev: s.Rdev}}
		if s.Kind == merge.Link || s.Mode > 07777 || !validBytes(id, body.Bytes) {
			return NodeID{}, errs.E(op, errs.Invalid, "", nil)
		}
		t.revive(f)
		stamp := t.stamp()
		body.Mtime = or(s.Mtime, stamp.Nanos())
		t.putPlace(id, f.id, name, false, stamp)
		t.put(id, merge.Strong, &body, stamp)
		return id, nil
	})
}

// Link gives a file a further name: a node of its own that names the file (N18). Exist,
// Forbidden (a directory), Stale (the file is gone), NotExist (dir is).
func (r *Replica) Link(id, dir NodeID, name string) (Entry, error) {
	const op = "namespace.Link"
	var link NodeID
	return r.entryOp(op, func(t *tx) (NodeID, error) {
		if id.IsDir() {
			return link, errs.E(op, errs.Forbidden, "", nil)
		}
		f, err := t.room(op, dir, name)
		if err != nil {
			return link, err
		}
		s, ok := t.show(id)
		if !ok {
			return link, errs.E(op, errs.Stale, "", nil)
		}
		t.revive(f)
		t.own(s)
		target := t.node(id) // maybe hidden by its name, but not by a link to it
		if !target.link().IsZero() {
			return link, errs.E(op, errs.Forbidden, "", nil) // a link to nothing
		}
		if p := target.P.Winner(); p.Place.Gone && target.by.IsZero() { // what was left of its names is its own now
			t.putPlace(id, target.at.parent, target.at.name, true, p.T)
		}
		if link, err = t.newID(dir, false); err != nil {
			return link, err
		}
		body := t.present(target)
		body.Bytes = merge.Bytes{Kind: merge.Link, Link: target.ID}
		stamp := t.stamp(target.ID) // with the ctime that other links gave it: never the first of several
		t.putPlace(link, f.id, name, false, stamp)
		t.put(link, merge.Strong, &body, stamp)
		t.reassert(target.ID) // survives a removal of its first name elsewhere
		t.attrs[target.ID] = true
		t.moveCtime(target.ID)
		return link, nil
	})
}

// room returns the folder in which a new name is to be made.
func (t *tx) room(op string, dir NodeID, name string) (folder, error) {
	if len(name) > MaxName {
		return folder{}, errs.E(op, errs.NameTooLong, "", nil)
	}
	if !validName(name) {
		return folder{}, errs.E(op, errs.Invalid, "", nil)
	}
	f, err := t.open(op, dir)
	if err == nil && t.find(f, name) != nil {
		err = errs.E(op, errs.Exist, name, nil)
	}
	return f, err
}

// newID draws an id. Its first half comes from the directory of birth, so that siblings lie
// together in the store.
func (t *tx) newID(parent NodeID, dir bool) (id NodeID, err error) {
	if _, err := io.ReadFull(t.r.cfg.Rand, id[8:]); err != nil {
		return id, errs.E("namespace.newID", errs.Other, "", err)
	}
	// A directory's own id lies with its siblings, the ids born in it elsewhere: mix.
	h := binary.BigEndian.Uint64(parent[8:])*0x9e3779b97f4a7c15 ^ binary.BigEndian.Uint64(parent[:8])
	binary.BigEndian.PutUint64(id[:8], h)
	id[15] &^= 1
	if dir {
		id[15] |= 1
	}
	t.fresh(id) // nobody has drawn it before
	return id, nil
}
