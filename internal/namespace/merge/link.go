package merge

// Link is the file that a node is a hard link to (N18), zero if it is none.
func (n *Node) Link() NodeID {
	if gs, _ := Groups(n.C); len(gs) > 0 {
		return gs[0].Bytes.Link
	}
	return NodeID{}
}

// Nameless reports whether a file has no name of its own: as long as one of its hard links lives, it
// is shown by them alone.
func (n *Node) Nameless() bool {
	p := n.P.Winner()
	return p != nil && p.Place.Gone && n.Link().IsZero()
}

// Older orders the links of a file as they were made. The first is the one beside which the conflict
// copies of a nameless file are shown.
func (n *Node) Older(m *Node) bool {
	if a, b := n.made(), m.made(); a != b {
		return a < b
	}
	return n.ID.Compare(m.ID) < 0
}

func (n *Node) made() Stamp {
	if gs, _ := Groups(n.C); len(gs) > 0 {
		return gs[0].Best.T
	}
	return 0
}

// Lend finds for every nameless file the first of its living links.
func Lend(nodes map[NodeID]*Node) map[NodeID]NodeID {
	by := map[NodeID]NodeID{}
	for id, l := range nodes {
		to := l.Link()
		f := nodes[to]
		if to.IsZero() || len(l.P) == 0 || f == nil || !f.Nameless() {
			continue
		}
		if first, ok := by[to]; !ok || l.Older(nodes[first]) {
			by[to] = id
		}
	}
	return by
}
