package daemon

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"testing"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// lonely is a network without anybody, which can be told to fail, or to name devices that nobody can talk to.
type lonely struct {
	peers  []p2p.PeerState
	refuse error  // of Open
	deaf   error  // of Knock
	closed func() // called when the network is closed
}

func (l *lonely) Open(context.Context, *share.Account, *kv.DB, config.Start, *slog.Logger) (Network, error) {
	if l.refuse != nil {
		return nil, l.refuse
	}
	return lonelyHost{l}, nil
}

func (l *lonely) Knock(context.Context, ed25519.PrivateKey, share.Token, config.Start, *slog.Logger) (wire.Stream, func(), error) {
	return nil, func() {}, l.deaf
}

type lonelyHost struct{ *lonely }

func (lonelyHost) Open(context.Context, ident.DeviceID, string) (wire.Stream, error) {
	return nil, errs.E("test", errs.Offline, "", nil)
}
func (lonelyHost) Subscribe() (<-chan p2p.Event, func()) {
	c := make(chan p2p.Event)
	return c, func() { close(c) }
}
func (h lonelyHost) Close() error {
	if h.closed != nil {
		h.closed()
	}
	return nil
}
func (lonelyHost) Handle(string, func(ident.DeviceID, wire.Stream))          {}
func (lonelyHost) HandleGuest(string, func(ident.TransportKey, wire.Stream)) {}
func (lonelyHost) GuestsOpen(bool)                                           {}
func (lonelyHost) HandleStranger(string, int, func(ident.TransportKey, wire.Stream), func(wire.Stream)) {
}
func (h lonelyHost) Peers() []p2p.PeerState                { return h.peers }
func (lonelyHost) Refresh()                                {}
func (lonelyHost) Addrs() []string                         { return nil }
func (lonelyHost) AddAddrs(ident.DeviceID, []string, bool) {}
func (lonelyHost) Relays() []p2p.RelayState                { return nil }
func (lonelyHost) SetRelays([]p2p.RelayAddr) error         { return nil }
func (lonelyHost) Check(ident.DeviceID)                    {}

// home is the start of a device that has nothing yet.
func home(t *testing.T) config.Start {
	t.Helper()
	t.Setenv("SHELF_KEYRING", "off")
	return config.Start{Home: config.Home(t.TempDir()), Name: "test", Version: "test", CacheSize: 1 << 30, Create: true,
		Background: config.Background{Battery: new(0), Metered: "no", NoPressure: true}} // whatever the machine of the tests is like
}

func open(s config.Start, via Via) (*daemon, error) {
	d, err := Open(context.Background(), s, slog.New(slog.DiscardHandler), via)
	if err != nil {
		return nil, err
	}
	return d.(*daemon), nil
}

func mustOpen(t *testing.T, s config.Start, via Via) *daemon {
	t.Helper()
	d, err := open(s, via)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
