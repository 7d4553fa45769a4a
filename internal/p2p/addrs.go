package p2p

import (
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/shelffs/shelf/internal/ident"
)

const maxAddrs = 16 // kept of one device

// Addrs are this host's addresses as others may dial them, each ending in /p2p/ID: those of the local
// network first, then public ones, then loopback; TCP before QUIC.
func (h *Host) Addrs() []string {
	all, err := h.host.Network().InterfaceListenAddresses()
	if err != nil {
		h.log.Debug("p2p: own addresses", "err", err)
	}
	all = slices.DeleteFunc(all, func(a ma.Multiaddr) bool { return !usable(a) })
	slices.SortStableFunc(all, func(a, b ma.Multiaddr) int { return worth(a) - worth(b) })
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = a.String() + "/p2p/" + h.host.ID().String()
	}
	return out
}

// Listening are the addresses it listens on, wildcards and real ports, to be kept for the next Config.Listen.
func (h *Host) Listening() []string {
	return toStrings(ma.FilterAddrs(h.host.Network().ListenAddresses(), isPlain))
}

// AddAddrs tells where a device may be found, also at which relays, and dials it at once. What is not an address
// is ignored. If the device itself says so, it has left the relays that it does not name.
func (h *Host) AddAddrs(dev ident.DeviceID, addrs []string, itself bool) {
	h.mu.Lock()
	l := h.links[dev]
	h.mu.Unlock()
	if l != nil {
		if addrs = clean(addrs); itself {
			l.forgetRelays(addrs)
		}
		l.learn(addrs)
		l.store()
		l.now()
	}
}

func worth(a ma.Multiaddr) int {
	n := 2
	switch {
	case isLoopback(a):
		n = 4
	case isNear(a):
		n = 0
	}
	if isQUIC(a) {
		n++
	}
	return n
}

// usable reports whether a is an IP address that our transports can dial from anywhere: link-local ones
// need a zone that only their own machine knows.
func usable(a ma.Multiaddr) bool {
	if _, err := manet.ToIP(a); err != nil || isLinkLocal(a) || manet.IsIPUnspecified(a) {
		return false
	}
	codes := make([]int, len(a))
	for i, c := range a {
		codes[i] = c.Protocol().Code
	}
	return slices.Equal(codes[1:], []int{ma.P_TCP}) || slices.Equal(codes[1:], []int{ma.P_UDP, ma.P_QUIC_V1})
}

func isLoopback(a ma.Multiaddr) bool { return manet.IsIPLoopback(a) }

// toMultiaddrs parses addresses, with or without /p2p/ID at the end, and leaves out what cannot be used.
func toMultiaddrs(in []string) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, s := range in {
		a, err := ma.NewMultiaddr(strings.TrimSpace(s))
		if err != nil {
			continue
		}
		if a, _ = peer.SplitAddr(a); a != nil && usable(a) && !ma.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func toStrings(in []ma.Multiaddr) []string {
	out := make([]string, len(in))
	for i, a := range in {
		out[i] = a.String()
	}
	return out
}

// clean leaves of addresses what can be used, each in its one spelling: relays first.
func clean(in []string) (out []string) {
	for _, r := range relaysOf(in) {
		out = append(out, r.String())
	}
	return append(out, toStrings(toMultiaddrs(in))...)
}

// mergeAddrs puts the first list before the second, without repeats, and bounds the whole. Relays go before
// all, so that they stay in it; no more than MaxRelays.
func mergeAddrs(first, second []string) []string {
	both := slices.Concat(first, second)
	var out []string
	for _, r := range relaysOf(both) {
		if s := r.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, a := range both {
		if !isRelayText(a) && !slices.Contains(out, a) && len(out) < maxAddrs {
			out = append(out, a)
		}
	}
	return out
}
