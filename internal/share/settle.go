package share

import (
	"cmp"
	"math"
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// How an account log that forked is settled, the same on every replica that has the same
// entries.
//
// An entry is in effect if its signer was admitted by an entry in effect before it (before
// means: among its predecessors), and no removal in effect has cut it off. A removal cuts
// off every entry of its target that is not before the removal: what a removed device
// said without the remover having seen it never counts, so it cannot be backdated.
//
// Removals may contradict each other (two devices remove each other). They are therefore
// judged one after the other, in the order of rank, then of lowest hash, each under those
// before it; one that is in effect in its turn stands, even if its author falls later. The
// root key has rank 0 and cannot be removed; a device has one more than the device that
// admitted it: a stolen phone cannot win against the laptop that brought it in, and the
// recovery phrase wins against all.

// verdict is what settling a log gives.
type verdict struct {
	effect  []bool                  // per node
	order   []int                   // nodes, each after its predecessors; ties by rank, removals first, lowest hash
	removed map[ident.DeviceID]bool // targets of removals in effect
}

// settler holds what settling an account log needs to look up.
type settler struct {
	log   *log
	root  ident.DeviceID
	adds  map[ident.DeviceID][]int // entries that admit a key
	ranks map[ident.DeviceID]int
}

func settle(l *log) verdict {
	s := settler{log: l, root: l.genesis().signer, adds: map[ident.DeviceID][]int{}}
	var removals []int
	for i, n := range l.nodes {
		if d, ok := n.adds(); ok {
			id := ident.DeviceID(d.Signing)
			s.adds[id] = append(s.adds[id], i)
		}
		if target, ok := n.removes(); ok && target != s.root {
			removals = append(removals, i)
		}
	}
	s.ranks = s.rankAll()
	slices.SortFunc(removals, s.before)
	kept := map[ident.DeviceID]bits{}
	var standing []int
	for _, r := range removals {
		if !s.effect(kept)[r] {
			continue
		}
		standing = append(standing, r)
		target, _ := l.nodes[r].removes()
		keep := bits(nil).with(r, l.nodes[r].past) // r too: who removes itself has the last word
		if old, ok := kept[target]; ok {
			keep = keep.and(old)
		}
		kept[target] = keep
	}
	v := verdict{effect: s.effect(kept), order: s.order(), removed: map[ident.DeviceID]bool{}}
	for _, r := range standing {
		target, _ := l.nodes[r].removes()
		v.effect[r], v.removed[target] = true, true
	}
	return v
}

// rankAll gives every admitted key the length of its shortest chain of admissions.
func (s settler) rankAll() map[ident.DeviceID]int {
	ranks := map[ident.DeviceID]int{s.root: 0}
	for changed := true; changed; { // one or two rounds, except for logs made to be slow
		changed = false
		for id, at := range s.adds {
			for _, i := range at {
				r, ok := ranks[s.log.nodes[i].signer]
				if old, known := ranks[id]; ok && (!known || r+1 < old) {
					ranks[id], changed = r+1, true
				}
			}
		}
	}
	return ranks
}

func (s settler) rank(key ident.DeviceID) int {
	if r, ok := s.ranks[key]; ok {
		return r
	}
	return math.MaxInt
}

// effect computes which entries count if of each removed key only the kept ones do.
func (s settler) effect(kept map[ident.DeviceID]bits) []bool {
	effect := make([]bool, len(s.log.nodes))
	for i, n := range s.log.nodes {
		keep, removed := kept[n.signer]
		effect[i] = (!removed || keep.has(i)) && (n.signer == s.root ||
			slices.ContainsFunc(s.adds[n.signer], func(a int) bool { return effect[a] && n.past.has(a) }))
	}
	return effect
}

// before compares two entries that nothing else orders.
func (s settler) before(i, j int) int {
	a, b := s.log.nodes[i], s.log.nodes[j]
	return cmp.Or(cmp.Compare(s.rank(a.signer), s.rank(b.signer)), cmp.Compare(lateness(a), lateness(b)), a.hash.compare(b.hash))
}

// lateness puts removals first.
func lateness(n *node) int {
	if _, ok := n.removes(); ok {
		return 0
	}
	return 1
}

// order lines the entries up.
func (s settler) order() []int {
	nodes := s.log.nodes
	missing := make([]int, len(nodes))
	next := make([][]int, len(nodes))
	for i, n := range nodes {
		missing[i] = len(n.prev)
		for _, h := range n.prev {
			p := s.log.index[h]
			next[p] = append(next[p], i)
		}
	}
	ready, out := []int{0}, make([]int, 0, len(nodes))
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		out = append(out, i)
		for _, c := range next[i] {
			if missing[c]--; missing[c] == 0 {
				at, _ := slices.BinarySearchFunc(ready, c, s.before)
				ready = slices.Insert(ready, at, c)
			}
		}
	}
	return out
}
