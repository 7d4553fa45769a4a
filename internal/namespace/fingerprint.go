package namespace

import (
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// The fingerprint of a replica is a sum over the dots of all versions that the registers of
// nodes hold which exist or are shown for what lives in them. Removals do not count, nor anything
// of other nodes, for some devices may have collected it and others not. Two replicas that claim
// the same must have the same.

// fingerprint brings it up to date with what the transaction changed.
func (t *tx) fingerprint() {
	for id := range t.subs {
		t.node(id.node)
	}
	for _, n := range t.nodes {
		was, is := n.counted()
		if !n.dirty && was == is {
			continue
		}
		if was {
			t.state.weigh(&n.before, (*state).dropDot)
		}
		if is {
			t.state.weigh(&n.Node, (*state).addDot)
		}
		if was != is {
			change := (*state).addDot
			if was {
				change = (*state).dropDot
			}
			t.eachSub(n.ID, func(id regID, reg merge.Register) {
				if s := t.subs[id]; s == nil || !s.dirty {
					t.state.each(reg, change)
				}
			})
		}
	}
	for id, s := range t.subs {
		if !s.dirty {
			continue
		}
		was, is := t.nodes[id.node].counted()
		if was {
			t.state.each(s.was, (*state).dropDot)
		}
		if is {
			t.state.each(s.reg, (*state).addDot)
		}
	}
}

// counted tells whether the fingerprint counted a node before the transaction, and does now.
func (n *node) counted() (was, is bool) {
	return n.before.Alive() || n.was.placed, n.Alive() || n.placed
}

// weigh changes the fingerprint by what lies in a node's row.
func (s *state) weigh(n *merge.Node, change func(*state, Dot)) {
	for _, k := range nodeRegs {
		s.each(*register(n, k), change)
	}
}

func (s *state) each(reg merge.Register, change func(*state, Dot)) {
	for _, v := range reg {
		if v.Class != merge.Nothing {
			change(s, v.Dot)
		}
	}
}

// eachSub visits the registers of a node that have rows of their own, as the store has them.
func (t *tx) eachSub(id NodeID, fn func(regID, merge.Register)) {
	stored := &t.state
	if t.changes != nil {
		stored = &t.r.state
	}
	for _, kind := range [...]regKind{regXattr, regPolicy} {
		if *stored.subs(kind) > 0 { // in most shares nobody uses these
			t.eachSubOf(id, kind, fn)
		}
	}
}

func (t *tx) eachSubOf(id NodeID, kind regKind, fn func(regID, merge.Register)) {
	prefix := t.keys.xattrs(id)
	if kind == regPolicy {
		prefix = t.keys.policies(id)
	}
	t.fail(t.src.Scan(prefix, func(_ kv.Key, row []byte) bool {
		sub, reg, err := decodeSub(id, kind, row, t.writers)
		if t.fail(err); err == nil {
			fn(sub, reg)
		}
		return err == nil
	}))
}
