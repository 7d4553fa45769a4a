package merge

// Node is the registers of one node that decide what is shown.
type Node struct {
	ID    NodeID
	P     Register // placement
	C     Register // content: existence
	Mode  Register // attributes
	Owner Register
	Times Register
}

// Alive reports whether the node exists by itself (N1). The root always does.
func (n *Node) Alive() bool { return n.ID == Root || Alive(n.C) }

// Stamp is the highest stamp that any of the registers holds.
func (n *Node) Stamp() Stamp {
	return max(n.P.Stamp(), n.C.Stamp(), n.Mode.Stamp(), n.Owner.Stamp(), n.Times.Stamp())
}

// Changed is the highest stamp of what the node shows, removals left out: some replicas have
// forgotten those.
func (n *Node) Changed() Stamp {
	s := max(n.P.Stamp(), n.Mode.Stamp(), n.Owner.Stamp(), n.Times.Stamp())
	for _, v := range n.C {
		if v.Class != Nothing {
			s = max(s, v.T)
		}
	}
	return s
}
