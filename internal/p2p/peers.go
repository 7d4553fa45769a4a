package p2p

import (
	"slices"
	"time"
)

// Peers tells the state of every device of the Directory, in the order of their ids. It answers from memory.
func (h *Host) Peers() []PeerState {
	h.mu.Lock()
	links := make([]*link, 0, len(h.links))
	for _, l := range h.links {
		links = append(links, l)
	}
	h.mu.Unlock()
	out := make([]PeerState, 0, len(links))
	for _, l := range links {
		out = append(out, l.state())
	}
	slices.SortFunc(out, func(a, b PeerState) int { return slices.Compare(a.Device[:], b.Device[:]) })
	return out
}

func (l *link) state() PeerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := PeerState{Device: l.dev, Connected: l.up, Path: l.path, Addr: l.addr, RTT: l.rtt, LastSeen: l.lastSeen}
	if l.up {
		s.LastSeen = time.Now()
	}
	return s
}
