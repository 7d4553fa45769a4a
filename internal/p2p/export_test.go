package p2p

// Awake is what a host does that has slept.
func (h *Host) Awake() { h.awake() }

// Conns names the connections of a host.
func (h *Host) Conns() (ids []string) {
	for _, c := range h.host.Network().Conns() {
		ids = append(ids, c.ID())
	}
	return ids
}
