package p2p

// Awake is what a host does that has slept.
func (h *Host) Awake() { h.awake() }
