package namespace

import (
	"slices"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// SetAttr changes attributes. Stale: the node is gone.
func (r *Replica) SetAttr(id NodeID, c AttrChange, also ...Also) (Entry, error) {
	const op = "namespace.SetAttr"
	if c.Mode != nil && *c.Mode > 07777 {
		return Entry{}, errs.E(op, errs.Invalid, "mode", nil)
	}
	return r.entryOp(op, func(t *tx) (NodeID, error) {
		t.also = allOf(also)
		n, err := t.touchable(op, id)
		if err != nil {
			return id, err
		}
		e := t.get1(n.ID)
		stamp := t.stamp(n.ID)
		if c.Mode != nil {
			t.putAttr(regID{node: n.ID, kind: regMode}, encodeMode(*c.Mode), stamp)
		}
		if c.UID != nil || c.GID != nil {
			o := owner{or(c.UID, e.UID), or(c.GID, e.GID)}
			t.putAttr(regID{node: n.ID, kind: regOwner}, encodeOwner(o), stamp)
		}
		if c.Atime != nil || c.Mtime != nil {
			x := times{of: hashBytes(merge.Bytes{Kind: Dir}), atime: or(c.Atime, e.Atime), mtime: or(c.Mtime, e.Mtime)}
			if gs, _ := n.parts(); !n.ID.IsDir() && len(gs) > 0 {
				x.of = hashBytes(gs[0].Bytes)
			}
			if n.ID.IsDir() { // above the newest change of its entries
				for _, m := range t.folder(n.ID).members {
					stamp = max(stamp, t.dir(m).changed+1)
				}
			}
			t.putAttr(regID{node: n.ID, kind: regTimes}, encodeTimes(x), stamp)
		}
		return id, nil
	})
}

func or[T any](p *T, otherwise T) T {
	if p != nil {
		return *p
	}
	return otherwise
}

// touchable returns the node that carries the attributes of id, made a node of its own.
func (t *tx) touchable(op string, id NodeID) (*node, error) {
	if id == Root {
		return t.node(Root), nil
	}
	s, ok := t.show(id)
	if !ok {
		return nil, errs.E(op, errs.Stale, "", nil)
	}
	if s.it.IsDir() {
		t.revive(folder{s.it.ID, s.it.Members})
		return t.node(s.it.ID), nil
	}
	if !slices.Contains(s.it.Twins, id) {
		t.own(s)
	}
	return t.node(id), nil
}

// GetXattr returns an extended attribute. NoAttr.
func (r *Replica) GetXattr(id NodeID, name string) ([]byte, error) {
	const op = "namespace.GetXattr"
	var value []byte
	err := r.read(func(t *tx) error {
		v, ok := t.xattr(regID{node: id, kind: regXattr, sub: name})
		if !ok {
			return errs.E(op, errs.NoAttr, name, nil)
		}
		value = v
		return nil
	})
	return value, err
}

func (t *tx) xattr(id regID) ([]byte, bool) {
	v := t.sub(id).reg.Newest()
	if v == nil {
		return nil, false
	}
	value, present, _ := decodeXattr(v.Value)
	return value, present
}

// SetXattr sets one. Exist, NoAttr (flags), NoSpace (over MaxXattr), Range (name too long).
func (r *Replica) SetXattr(id NodeID, name string, value []byte, f XattrFlag) error {
	const op = "namespace.SetXattr"
	if name == "" || len(name) > MaxName {
		return errs.E(op, errs.Range, "name", nil)
	}
	return r.update(op, func(t *tx) error {
		n, err := t.touchable(op, id)
		if err != nil {
			return err
		}
		reg := regID{node: n.ID, kind: regXattr, sub: name}
		_, there := t.xattr(reg)
		if there && f == XattrCreate {
			return errs.E(op, errs.Exist, name, nil)
		}
		if !there && f == XattrReplace {
			return errs.E(op, errs.NoAttr, name, nil)
		}
		total := len(name) + len(value)
		for _, x := range t.xattrs(n.ID) {
			if x.name != name {
				total += len(x.name) + x.size
			}
		}
		if total > MaxXattr {
			return errs.E(op, errs.NoSpace, "extended attributes", nil)
		}
		t.putAttr(reg, encodeXattr(value), t.stamp(n.ID))
		t.moveCtime(n.ID)
		return nil
	})
}

// RemoveXattr removes one. NoAttr.
func (r *Replica) RemoveXattr(id NodeID, name string) error {
	const op = "namespace.RemoveXattr"
	return r.update(op, func(t *tx) error {
		n, err := t.touchable(op, id)
		if err != nil {
			return err
		}
		reg := regID{node: n.ID, kind: regXattr, sub: name}
		if _, there := t.xattr(reg); !there {
			return errs.E(op, errs.NoAttr, name, nil)
		}
		t.putAttr(reg, "", t.stamp(n.ID))
		t.moveCtime(n.ID)
		return nil
	})
}

// ListXattr returns the names, sorted.
func (r *Replica) ListXattr(id NodeID) ([]string, error) {
	var names []string
	err := r.read(func(t *tx) error {
		for _, x := range t.xattrs(id) {
			names = append(names, x.name)
		}
		return nil
	})
	return names, err
}

type xattrSize struct {
	name string
	size int
}

// xattrs lists what is present, as the store has it.
func (t *tx) xattrs(id NodeID) []xattrSize {
	var out []xattrSize
	t.fail(t.src.Scan(t.keys.xattrs(id), func(_ kv.Key, row []byte) bool {
		reg, versions, err := decodeSub(id, regXattr, row, t.writers)
		if t.fail(err); err != nil {
			return false
		}
		if value, present, _ := decodeXattr(versions.Newest().Value); present {
			out = append(out, xattrSize{reg.sub, len(value)})
		}
		return true
	}))
	slices.SortFunc(out, func(a, b xattrSize) int { return strings.Compare(a.name, b.name) })
	return out
}
