// Package p2p connects this device to the others of its account: one libp2p host with
// TCP+TLS and QUIC, a gate that refuses strangers, discovery on the local network and
// connections that are kept alive; and, on a machine of its own, the relay for those that no direct way leads to.
// It is the only importer of libp2p. No clock decides who connects (secure.go).
package p2p

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

// Peer is a device of the account with the key that its connections prove.
type Peer struct {
	Device    ident.DeviceID
	Transport ident.TransportKey
}

// Directory says who belongs to us. It is asked often and must answer from memory.
type Directory interface {
	Peers() []Peer                   // all devices but this one
	Allowed(ident.TransportKey) bool // may connect now
}

// AddrBook keeps addresses (multiaddrs without /p2p/) over restarts, best first.
type AddrBook interface {
	Load(ident.DeviceID) []string
	Store(ident.DeviceID, []string)
}

// Config makes a Host.
type Config struct {
	TransportKey ed25519.PrivateKey
	Listen       []string // multiaddrs, as of Listen; a busy port is replaced by a free one
	MDNS         bool     // announce and look on the local network
	Directory    Directory
	AddrBook     AddrBook     // optional
	Log          *slog.Logger // optional
}

// Event tells that a device became reachable or unreachable. It is an alias of an unnamed
// type, so that other packages can name the same type without importing this one.
type Event = struct {
	Device    ident.DeviceID
	Connected bool
}

// PeerState is what is known about one device now.
type PeerState struct {
	Device    ident.DeviceID
	Connected bool
	Path      string        // loopback, lan, direct, relay; "" when not connected
	Addr      string        // the remote end of the connection
	RTT       time.Duration // smoothed; 0: not measured yet
	LastSeen  time.Time     // now for a connected one; zero: not since the start
}

// Listen returns the usual Config.Listen for a port (0: any): TCP and QUIC over IPv4 and IPv6.
// A host that is asked for port 0 takes the same free port for all of them where it can.
func Listen(port int) []string {
	return []string{
		fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", port),
		fmt.Sprintf("/ip4/0.0.0.0/udp/%d/quic-v1", port),
		fmt.Sprintf("/ip6/::/tcp/%d", port),
		fmt.Sprintf("/ip6/::/udp/%d/quic-v1", port),
	}
}
