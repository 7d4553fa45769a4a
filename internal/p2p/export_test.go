package p2p

import (
	"fmt"
	"net"
	"slices"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

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

// Ways are the transports of a host's connections to other devices.
func (h *Host) Ways() (ways []string) {
	for _, c := range h.host.Network().Conns() {
		way := "tcp"
		if isQUIC(c.RemoteMultiaddr()) {
			way = "quic"
		}
		ways = append(ways, way)
	}
	return ways
}

// FreePort is an address for TCP at which nobody listens.
func FreePort(t testing.TB) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port)
}

// ListenAlso has a host listen at one more address.
func (h *Host) ListenAlso(addr string) error { return h.host.Network().Listen(ma.StringCast(addr)) }
