package namespace

import (
	"context"
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Removals are remembered until every device knows them: until then one that does not could
// bring back what was removed. They are collected by acknowledgement of the present members,
// never by time (S7).

// mark keeps the row that says that a node holds removals.
func (t *tx) mark(b *kv.Batch, n *node) {
	was, is := hasRemovals(&n.before), hasRemovals(&n.Node)
	switch {
	case is && !was:
		t.fail(b.Set(t.keys.dead(n.ID), nil))
	case was && !is:
		t.fail(b.Delete(t.keys.dead(n.ID)))
	}
}

// hasRemovals reports whether something of n could be collected some time.
func hasRemovals(n *merge.Node) bool {
	for _, v := range n.C {
		if v.Class == merge.Nothing {
			return true
		}
	}
	return false
}

// collectStep is how many nodes are collected in one transaction.
const collectStep = 256

// Collect forgets removals that every member has acknowledged, and the nodes that they
// removed. It changes nothing that is shown. It returns how many registers lost something.
func (r *Replica) Collect(ctx context.Context) (n int, err error) {
	const op = "namespace.Collect"
	r.applying.Lock()
	frozen := maps.Clone(r.frozen)
	r.applying.Unlock()
	var after kv.Key
	for {
		if ctx.Err() != nil {
			return n, errs.E(op, errs.Interrupted, "", ctx.Err())
		}
		var page []NodeID
		prefix := r.cfg.DB.Key(tableDead)
		err := r.cfg.DB.ScanRange(kv.Range{Prefix: prefix, From: after, After: true, KeysOnly: true}, func(k kv.Key, _ []byte) bool {
			page = append(page, NodeID(k[len(prefix):]))
			after = k.Clone()
			return len(page) < collectStep
		})
		if err != nil || len(page) == 0 {
			return n, err
		}
		err = r.transact(op, func(t *tx) error {
			k := r.knowledge(frozen)
			if k == nil {
				page = nil
				return nil
			}
			for _, id := range page {
				n += t.collect(k, id)
			}
			return nil
		})
		if err != nil || page == nil {
			return n, err
		}
	}
}

// knowledge is what the members have acknowledged: one claim for each but this device.
type knowledge struct {
	own    Claims
	theirs []Claims
}

// knowledge returns nil while nothing may be collected: a member's present incarnation has
// acknowledged nothing, or knew more than is here when it did, or a restored device has not
// audited with every other yet, or something is held that cannot be read. What others know of a
// frozen writer is not waited for. Nor may anything while something lies aside, which may have to be
// said again. Needs writing.
func (r *Replica) knowledge(frozen map[ident.Writer]Freeze) *knowledge {
	r.mu.RLock()
	defer r.mu.RUnlock()
	members := r.members()
	if len(members) == 0 || r.inDoubt() || r.holdsNewer() || r.asides > 0 {
		return nil
	}
	k := &knowledge{own: r.claims}
	for _, d := range members {
		if r.line.owed[d] || len(r.apart[d]) > 0 {
			return nil
		}
		for _, x := range r.line.newest {
			if d != x.Writer.Device && !r.line.facts[Fact{x.Writer, d}] && r.isMember(members, x.Writer.Device) {
				return nil
			}
		}
		if d == r.cfg.Self {
			continue
		}
		a, ok := r.acks[d]
		if !ok || a.Incarnation < r.line.current(d) || !k.own.Covers(r.line.beforeForks(believed(a.Claims, frozen))) {
			return nil
		}
		k.theirs = append(k.theirs, a.Claims)
	}
	return k
}

// believed is c without what is refused of frozen writers.
func believed(c Claims, frozen map[ident.Writer]Freeze) Claims {
	for w, f := range frozen {
		if n := min(c.Upto(w), f.From-1); n < c.Upto(w) {
			if c = c.Without(w); n > 0 {
				c = c.Raise(Dot{Writer: w, Seq: n})
			}
		}
	}
	return c
}

func (r *Replica) isMember(members []ident.DeviceID, d ident.DeviceID) bool {
	for _, m := range members {
		if m == d {
			return true
		}
	}
	return false
}

// stable reports whether every member knows these versions, and all that they have overwritten: what
// nobody claims could be in an image of a disk, and no audit would tell that it is dead.
func (k *knowledge) stable(reg merge.Register) bool {
	for _, v := range reg {
		past := Claims{Vector: v.Past.Vector}
		if !k.own.Covers(past) || slices.ContainsFunc(k.theirs, func(c Claims) bool { return !c.Covers(past) }) {
			return false
		}
	}
	return true
}

// collect forgets what can be forgotten of a node.
func (t *tx) collect(k *knowledge, id NodeID) (n int) {
	x := t.node(id)
	if !x.Alive() {
		return t.collectNode(k, x)
	}
	var keep merge.Register // removals beside what lives
	for _, v := range x.C {
		if v.Class != merge.Nothing || !k.stable(merge.Register{v}) {
			keep = append(keep, v)
		}
	}
	if len(keep) < len(x.C) {
		t.replace(regID{node: id, kind: regBytes}, keep)
		n++
	}
	return n
}

// collectNode forgets a node that does not exist, is not shown for what lives in it, and is
// named by no placement.
func (t *tx) collectNode(k *knowledge, x *node) (n int) {
	if x.placed || x.ID.IsDir() && t.dir(x.ID).refs > 0 {
		return 0
	}
	regs := map[regID]merge.Register{}
	for _, kind := range nodeRegs {
		regs[regID{node: x.ID, kind: kind}] = *register(&x.Node, kind)
	}
	t.eachSub(x.ID, func(id regID, _ merge.Register) { regs[id] = t.held(id) })
	for _, reg := range regs {
		if !k.stable(reg) {
			return 0
		}
	}
	for id, reg := range regs {
		if len(reg) > 0 {
			t.replace(id, nil)
			n++
		}
	}
	return n
}
