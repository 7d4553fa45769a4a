package p2p

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Peers tells the state of every device of the Directory, in the order of their ids.
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
	s := PeerState{Device: l.dev, LastSeen: l.lastSeen}
	rtt := l.rtt
	l.mu.Unlock()
	var best network.Conn
	for _, c := range l.h.host.Network().ConnsToPeer(l.id) {
		if best == nil || len(c.GetStreams()) > len(best.GetStreams()) {
			best = c
		}
	}
	if best != nil {
		s.Connected, s.LastSeen, s.RTT = true, time.Now(), rtt
		s.Addr, s.Path = best.RemoteMultiaddr().String(), pathOf(best.RemoteMultiaddr())
	}
	return s
}
