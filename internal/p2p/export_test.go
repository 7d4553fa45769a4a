package p2p

import "slices"

// Awake is what a host does that has slept.
func (h *Host) Awake() { h.awake() }

// Conns names the connections of a host.
func (h *Host) Conns() (ids []string) {
	for _, c := range h.host.Network().Conns() {
		ids = append(ids, c.ID())
	}
	return ids
}

// Relayed reports whether a connection to another device goes through a relay.
func (h *Host) Relayed() bool { return slices.ContainsFunc(h.host.Network().Conns(), isRelayed) }
