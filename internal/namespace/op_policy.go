package namespace

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// SetPlacement says how a device is to keep a node's bytes (a directory: all that is or
// comes below it, unless it says otherwise itself). Inherited takes it back. Stale.
func (r *Replica) SetPlacement(id NodeID, dev ident.DeviceID, p Placement) error {
	const op = "namespace.SetPlacement"
	if p > Automatic {
		return errs.E(op, errs.Invalid, "", nil)
	}
	return r.update(op, func(t *tx) error {
		n, err := t.touchable(op, id)
		if err != nil {
			return err
		}
		reg := regID{node: n.ID, kind: regPolicy, sub: string(dev[:])}
		if now, ok := t.policy(reg); ok && now == p || !ok && p == Inherited {
			return nil
		}
		t.putAttr(reg, encodePolicy(p), t.stamp(n.ID))
		return nil
	})
}

// Placement returns the placement in effect (never Inherited) and the node's own. The
// nearest directory above that says something decides. Stale.
func (r *Replica) Placement(id NodeID, dev ident.DeviceID) (effective, own Placement, err error) {
	err = r.read(func(t *tx) error {
		n := t.node(id)
		if of := t.origin(id); !n.placed && !of.IsZero() {
			n = t.node(of)
		}
		if id != Root && !n.placed {
			return errs.E("namespace.Placement", errs.Stale, "", nil)
		}
		if t.state.policies == 0 {
			return nil
		}
		own = t.policyOn([]NodeID{n.ID}, dev)
		effective = own
		for range maxDepth {
			if effective != Inherited || n.ID == Root || !n.placed {
				break
			}
			f := t.folder(n.at.parent)
			effective = t.policyOn(f.members, dev)
			n = t.node(f.id)
		}
		return nil
	})
	if effective == Inherited {
		effective = Automatic
	}
	return effective, own, err
}

// policyOn is the newest explicit placement of nodes shown as one.
func (t *tx) policyOn(nodes []NodeID, dev ident.DeviceID) Placement {
	best, newest := Inherited, uint64(0)
	for _, n := range nodes {
		reg := regID{node: n, kind: regPolicy, sub: string(dev[:])}
		if p, ok := t.policy(reg); ok && p != Inherited {
			if s := uint64(t.sub(reg).reg.Stamp()) + 1; s > newest {
				best, newest = p, s
			}
		}
	}
	return best
}

func (t *tx) policy(reg regID) (Placement, bool) {
	v := t.sub(reg).reg.Newest()
	if v == nil {
		return Inherited, false
	}
	return decodePolicy(v.Value)
}

// policy is one explicit placement of a node.
type policy struct {
	dev ident.DeviceID
	how Placement
}

// policiesOf lists the explicit placements of a node, as the store has them.
func (t *tx) policiesOf(id NodeID) []policy {
	var out []policy
	if t.state.policies == 0 {
		return nil
	}
	t.fail(t.src.Scan(t.keys.policies(id), func(_ kv.Key, row []byte) bool {
		reg, versions, err := decodeSub(id, regPolicy, row, t.writers)
		if t.fail(err); err != nil {
			return false
		}
		if p, _ := decodePolicy(versions.Newest().Value); p != Inherited {
			out = append(out, policy{ident.DeviceID([]byte(reg.sub)), p})
		}
		return true
	}))
	return out
}
