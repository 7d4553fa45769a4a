package p2p

import (
	"context"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// Host is this device on the network. It is an exchange.Network.
type Host struct{}

// New starts a host: it listens, discovers and dials until Close.
func New(ctx context.Context, cfg Config) (*Host, error) {
	return nil, errs.E("p2p.New", errs.Unsupported, "", nil)
}

// Open opens a stream to a device of the Directory over the connection there is, or dials.
// Offline when it cannot be reached, Refused when it is not (or no longer) one of us.
func (h *Host) Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error) {
	return nil, errs.E("p2p.Open", errs.Unsupported, "", nil)
}

// Handle calls fn in a goroutine of its own for each stream of that protocol from a device of the Directory.
func (h *Host) Handle(protocol string, fn func(dev ident.DeviceID, s wire.Stream)) {}

// HandleGuest is Handle for strangers while GuestsOpen; the connection is closed when fn returns,
// unless the Directory allows the peer by then.
func (h *Host) HandleGuest(protocol string, fn func(transport ident.TransportKey, s wire.Stream)) {}

// GuestsOpen lets strangers connect, for the guest protocols only. It is closed at the start.
func (h *Host) GuestsOpen(open bool) {}

// OpenGuest connects to a device that is not in the Directory, for joining.
func (h *Host) OpenGuest(ctx context.Context, transport ident.TransportKey, addrs []string, protocol string) (wire.Stream, error) {
	return nil, errs.E("p2p.OpenGuest", errs.Unsupported, "", nil)
}

// Refresh reads the Directory again: closes connections of those who left, dials those who came.
func (h *Host) Refresh() {}

// ForgetPeer closes all connections of a transport key at once.
func (h *Host) ForgetPeer(transport ident.TransportKey) {}

// AddAddrs tells where a device may be found, and dials it at once.
func (h *Host) AddAddrs(dev ident.DeviceID, addrs []string) {}

// Addrs are this host's addresses as others may dial them, each ending in /p2p/ID.
func (h *Host) Addrs() []string { return nil }

// Listening are the addresses it listens on, wildcards and real ports, to be kept for the next Config.Listen.
func (h *Host) Listening() []string { return nil }

// Subscribe gives the events from now on; every device connected now comes first. The channel is
// never blocked on: a slow reader finds only the newest state of each device. stop closes it.
func (h *Host) Subscribe() (events <-chan Event, stop func()) { return nil, func() {} }

// Peers tells the state of every device of the Directory.
func (h *Host) Peers() []PeerState { return nil }

// Close closes everything and waits.
func (h *Host) Close() error { return nil }

// Listen returns the usual Config.Listen for a port (0: any): TCP and QUIC, IPv4 and IPv6.
func Listen(port int) []string { return nil }
