// Package exchange asks devices for blocks and serves them ours, over the protocol
// "/shelf/blocks/1". It sees only sealed blocks.
package exchange

import (
	"context"
	"log/slog"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// Protocol names the protocol and its version.
const Protocol = "/shelf/blocks/1"

// Stream is one ordered, authenticated, encrypted byte stream to a device.
type Stream = wire.Stream

// Network opens streams to devices and takes theirs; *p2p.Host and *simnet.Host are Networks.
type Network interface {
	// Open opens a stream; Offline when the device cannot be reached.
	Open(ctx context.Context, dev ident.DeviceID, protocol string) (Stream, error)
	// Handle calls h in a goroutine of its own for each stream of that protocol.
	Handle(protocol string, h func(dev ident.DeviceID, s Stream))
}

// Class says how a device keeps a block. The numbers go over the wire.
type Class uint8

const (
	None    Class = 0 // not there
	Fetched Class = 1 // there, and may go when space is needed
	Pinned  Class = 2 // there to stay
	Staged  Class = 3 // there to stay until another device keeps it
)

// Keeper answers for what this device keeps. Both results are parallel to ds.
type Keeper interface {
	Classes(ds []blocks.Digest) []Class
	// Grant says for each block whether the asker may drop its own copy: true promises that
	// this device holds the block and keeps it. nonce is the asker's, the same when it repeats a question.
	Grant(asker ident.DeviceID, nonce [16]byte, ds []blocks.Digest) []bool
}

// Config makes an Exchange.
type Config struct {
	Network Network
	Store   blocks.Getter             // what is on this device, never the network
	Keeper  Keeper                    // optional: without it, every class is None and nothing is granted
	Allow   func(ident.DeviceID) bool // who may be served; nil: everybody the Network lets in
	Log     *slog.Logger
}

// Exchange is both ends of the protocol on one device.
type Exchange struct{ cfg Config }

// New registers the protocol with the network and serves until Close.
func New(cfg Config) *Exchange { return &Exchange{cfg: cfg} }

// Source returns the fetch.Source that asks dev. The same device gives the same Source.
func (x *Exchange) Source(dev ident.DeviceID) fetch.Source { return nil }

// Have asks how dev keeps each of ds; the result is parallel to ds.
func (x *Exchange) Have(ctx context.Context, dev ident.DeviceID, ds []blocks.Digest) ([]Class, error) {
	return nil, errs.E("exchange.Have", errs.Unsupported, "", nil)
}

// Release asks dev whether we may drop our copies of ds; the result is parallel to ds.
func (x *Exchange) Release(ctx context.Context, dev ident.DeviceID, nonce [16]byte, ds []blocks.Digest) ([]bool, error) {
	return nil, errs.E("exchange.Release", errs.Unsupported, "", nil)
}

// Counters count content that crossed the network (sealed bytes, without framing).
type Counters struct {
	BlocksIn, BytesIn, BlocksOut, BytesOut uint64
}

// Totals counts since the start, all devices.
func (x *Exchange) Totals() Counters { return Counters{} }

// With counts the traffic with one device.
func (x *Exchange) With(dev ident.DeviceID) Counters { return Counters{} }

// Close ends all streams and waits for their goroutines.
func (x *Exchange) Close() error { return nil }
