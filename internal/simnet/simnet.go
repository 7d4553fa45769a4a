// Package simnet is a network in memory for tests, with latency, bandwidth, broken connections
// and partitions. It waits by timers and channels only, so that inside testing/synctest it runs
// in virtual time.
package simnet

import (
	"context"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// Link describes the way between two hosts, the same in both directions.
type Link struct {
	Latency   time.Duration // one way
	Bandwidth int64         // bytes per second and direction; 0: unlimited
}

// Event is the same type as p2p.Event.
type Event = struct {
	Device    ident.DeviceID
	Connected bool
}

// Net connects hosts.
type Net struct{}

// New returns a network whose links are all alike until SetLink says otherwise.
func New(all Link) *Net { return &Net{} }

// Host adds (or returns) the host of a device.
func (n *Net) Host(dev ident.DeviceID) *Host { return &Host{} }

// SetLink changes the link between two devices; streams already open feel it too.
func (n *Net) SetLink(a, b ident.DeviceID, l Link) {}

// Partition cuts the link: streams break and none can be opened until Heal.
func (n *Net) Partition(a, b ident.DeviceID) {}

// Heal joins what Partition cut.
func (n *Net) Heal(a, b ident.DeviceID) {}

// Down takes a host off the net as a crash would: its streams break everywhere. Up brings it back.
func (n *Net) Down(dev ident.DeviceID) {}

// Up brings a host back.
func (n *Net) Up(dev ident.DeviceID) {}

// Host is one device on the network; an exchange.Network.
type Host struct{}

// Open opens a stream; Offline when the way is cut.
func (h *Host) Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error) {
	return nil, errs.E("simnet.Open", errs.Offline, "", nil)
}

// Handle takes the streams of a protocol.
func (h *Host) Handle(protocol string, fn func(dev ident.DeviceID, s wire.Stream)) {}

// Connected lists the devices that can be reached now.
func (h *Host) Connected() []ident.DeviceID { return nil }

// Subscribe gives the changes of reachability; those reachable now come first.
func (h *Host) Subscribe() (events <-chan Event, stop func()) { return nil, func() {} }
