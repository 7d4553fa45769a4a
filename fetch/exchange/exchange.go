// Package exchange asks devices for blocks and serves them ours, over the protocol
// "/shelf/blocks/1". It sees only sealed blocks.
//
// To each device go a few streams, one for each lane of urgency, opened when first used. Any
// number of questions is under way on each at once; answers come in the order that suits the
// server, which holds back what is less urgent between any two pieces of a block.
package exchange

import (
	"context"
	"iter"
	"log/slog"
	"sync"

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

// Leave is what somebody asks who wants to stop keeping some blocks of one file: whether he may.
type Leave struct {
	Node   [nodeLen]byte // the file
	Blocks []blocks.Digest
}

// Keeper answers for what this device keeps.
type Keeper interface {
	// Classes is parallel to ds.
	Classes(ds []blocks.Digest) []Class
	// Grant says for each block of each file whether the asker may drop its own copy: true promises that
	// this device holds the block and keeps it for that file: a keeper may let go of a block when it no
	// longer keeps the file. The result is parallel to ls and their blocks.
	Grant(asker ident.DeviceID, ls []Leave) [][]bool
}

// Config makes an Exchange.
type Config struct {
	Network Network
	Store   blocks.Getter             // what is on this device, never the network
	Keeper  Keeper                    // optional: without it, every class is None and nothing is granted
	Allow   func(ident.DeviceID) bool // who may be served, asked for every question; nil: everybody the Network lets in
	// Below lists what a reader needs below a manifest, which tells whoever is allowed to ask which blocks belong
	// together: it is for shares all of whose members can read manifests. It may leave the bytes to be read. Optional.
	Below  func(ctx context.Context, m blocks.Sealed, next blocks.Stretch) iter.Seq[blocks.Sealed]
	Silent func(ident.DeviceID) // optional: a device that owes an answer has sent nothing for a second; must not block
	Pacer  Pacer                // optional
	Log    *slog.Logger         // optional
}

// Exchange is both ends of the protocol on one device.
type Exchange struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends at Close
	stop   context.CancelFunc
	totals tally
	rush   rush
	turns  [fetch.Unknown + 1]turns // by way
	wg     sync.WaitGroup           // every goroutine of ours

	mu      sync.Mutex
	remotes map[ident.DeviceID]*remote
	served  map[Stream]struct{}
	closed  bool
}

// New registers the protocol with the network and serves until Close.
func New(cfg Config) *Exchange {
	x := &Exchange{cfg: cfg, log: cfg.Log, remotes: map[ident.DeviceID]*remote{}, served: map[Stream]struct{}{}}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	x.ctx, x.stop = context.WithCancel(context.Background())
	cfg.Network.Handle(Protocol, x.serve)
	return x
}

// Source returns the fetch.Source that asks dev. The same device gives the same Source.
func (x *Exchange) Source(dev ident.DeviceID) fetch.Source { return x.remote(dev) }

// Have asks how dev keeps each of ds; the result is parallel to ds. Errors: as of fetch.Source.
func (x *Exchange) Have(ctx context.Context, dev ident.DeviceID, ds []blocks.Digest) ([]Class, error) {
	out := make([]Class, 0, len(ds))
	for len(ds) > 0 {
		n := min(len(ds), maxDigests)
		body, err := x.remote(dev).talk(ctx, question{kind: kindHave, digests: ds[:n]})
		if err != nil {
			return nil, errs.E("exchange.Have", errs.Other, dev.Short(), err)
		}
		for _, c := range body {
			out = append(out, min(Class(c), Staged))
		}
		ds = ds[n:]
	}
	return out, nil
}

// Release asks dev whether we may drop our copies of blocks of some files: true is its promise to keep the block for
// that file. The result is parallel to ls and their blocks. Many files go into one message. When no answer came, it
// may be asked again.
func (x *Exchange) Release(ctx context.Context, dev ident.DeviceID, ls []Leave) ([][]bool, error) {
	out := make([][]bool, len(ls))
	for i, l := range ls {
		out[i] = make([]bool, 0, len(l.Blocks))
	}
	for from := 0; from < len(ls); {
		q, of := question{kind: kindRelease}, []int(nil)
		for i, room := from, maxDigests; i < len(ls) && room > 0; i++ {
			left := ls[i].Blocks
			if i == from { // a part of it may be answered
				left = left[len(out[i]):]
			}
			if n := min(len(left), room); n > 0 {
				q.leaves, of, room = append(q.leaves, Leave{ls[i].Node, left[:n]}), append(of, i), room-n
			}
		}
		if len(q.leaves) == 0 {
			break
		}
		body, err := x.remote(dev).talk(ctx, q)
		if err != nil {
			return nil, errs.E("exchange.Release", errs.Other, dev.Short(), err)
		}
		for k, i := range of {
			for range q.leaves[k].Blocks {
				out[i] = append(out[i], body[0] == 1)
				body = body[1:]
			}
		}
		from = of[len(of)-1]
		if len(out[from]) == len(ls[from].Blocks) {
			from++
		}
	}
	return out, nil
}

// Close ends all streams and waits for their goroutines.
func (x *Exchange) Close() error {
	x.mu.Lock()
	x.closed = true
	var served []Stream
	for s := range x.served {
		served = append(served, s)
	}
	var remotes []*remote
	for _, r := range x.remotes {
		remotes = append(remotes, r)
	}
	x.mu.Unlock()
	x.stop()
	for _, s := range served {
		_ = s.Reset()
	}
	for _, r := range remotes {
		r.close(errs.E("exchange.Close", errs.Closed, "", nil))
	}
	x.wg.Wait()
	return nil
}

// spawn runs fn in a goroutine that Close waits for; false when closed.
func (x *Exchange) spawn(fn func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return false
	}
	x.wg.Add(1)
	go func() { defer x.wg.Done(); fn() }()
	return true
}

func (x *Exchange) remote(dev ident.DeviceID) *remote {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.remotes[dev]
	if r == nil {
		r = &remote{x: x, dev: dev, gate: newGate()}
		x.remotes[dev] = r
	}
	return r
}
