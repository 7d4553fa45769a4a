package merge

import "slices"

// Places answers with the placement in effect of a directory, nil if there is none known.
type Places func(NodeID) *Version

// CutOn follows the directories above n as they were placed (dead ones included). If it
// comes into a cycle, the result is the node at which that cycle is to be cut (N15): the
// newest move on it.
func CutOn(n NodeID, places Places) (NodeID, bool) {
	seen := map[NodeID]bool{}
	x := n
	for x != Root && !seen[x] {
		p := places(x)
		if p == nil {
			return NodeID{}, false
		}
		seen[x] = true
		x = p.Place.Parent
	}
	if x == Root {
		return NodeID{}, false
	}
	cut := x
	for y := places(x).Place.Parent; y != x; y = places(y).Place.Parent {
		if newerMove(y, cut, places) {
			cut = y
		}
	}
	return cut, true
}

func newerMove(a, b NodeID, places Places) bool {
	ta, tb := places(a).T, places(b).T
	return ta > tb || ta == tb && a.Compare(b) > 0
}

// Redirect says where the nodes at which cycles are cut go instead (N15): back to their
// previous parent, dead or alive, unless that closes the cycle again or is unknown; then to
// the root. cuts must be all cuts of the share.
func Redirect(cuts []NodeID, places Places) map[NodeID]NodeID {
	order := slices.Clone(cuts)
	slices.SortFunc(order, func(a, b NodeID) int {
		if newerMove(b, a, places) {
			return -1
		}
		return 1
	})
	to := make(map[NodeID]NodeID, len(order))
	for _, c := range order {
		to[c] = NodeID{} // unknown until it is its turn
	}
	for _, c := range order {
		prev := places(c).Place.Prev
		x := prev
		for x != Root && x != c && !x.IsZero() {
			x = above(x, to, places)
		}
		to[c] = Root
		if x == Root {
			to[c] = prev
		}
	}
	return to
}

// above is the parent of x after cuts; zero if unknown.
func above(x NodeID, to map[NodeID]NodeID, places Places) NodeID {
	if t, cut := to[x]; cut {
		return t
	}
	if p := places(x); p != nil {
		return p.Place.Parent
	}
	return NodeID{}
}
