// Package replicate brings the records of two devices together: over each connection, both
// sides push what the other lacks, first the membership log, then records, and go on pushing
// for as long as the connection lasts.
//
// Each direction is a stream of its own, opened by the side that pushes:
//
//	handshake        both prove to know the share's blind key (handshake.go)
//	receiver → H     its log heads and its Hello: what it has
//	pusher   → M     membership entries that the receiver lacks
//	pusher   → R …   frames of records (package namespace), in the order in which they are safe
//	pusher   → C     complete (at least once): "you may now claim what I claimed when this delta began"
//	receiver → A     its durable claims, whenever they have advanced
//
// M, R and C repeat whenever the pusher has something new. Nothing is pushed before it is
// durable here; the receiver acknowledges after it is durable there.
package replicate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// Protocol names the protocol and its version.
const Protocol = "/shelf/records/1"

// Network opens streams to devices and takes theirs.
type Network interface {
	Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error)
	Handle(protocol string, h func(dev ident.DeviceID, s wire.Stream))
}

// Records is the replica that is kept in step; *namespace.Replica is one.
type Records interface {
	Hello() namespace.Hello
	Claims() namespace.Claims
	Changed() <-chan struct{}
	Since(ctx context.Context, theirs namespace.Claims) (*namespace.Delta, error)
	Apply(ctx context.Context, from ident.DeviceID, frame []byte) error
	Complete(ctx context.Context, from ident.DeviceID, theirs namespace.Claims) (namespace.Claims, error)
	Acknowledged(peer ident.DeviceID, theirs namespace.Claims) error
}

// Members is the membership log that travels ahead of the records; *share.Account is one.
type Members interface {
	Heads() []share.Hash
	EntriesSince(heads []share.Hash) [][]byte
	Merge(entries [][]byte) (added int, err error)
	Changed() <-chan struct{}
	Member(ident.DeviceID) bool
}

// Config makes a Replicator.
type Config struct {
	Network Network
	Records Records
	Members Members
	Self    ident.DeviceID
	Blind   [32]byte // the share's BK of its epoch
	Log     *slog.Logger
}

// Event tells that a device became reachable or unreachable.
type Event = struct {
	Device    ident.DeviceID
	Connected bool
}

// Replicator keeps this device's records in step with every connected device.
type Replicator struct {
	cfg Config

	mu       sync.Mutex
	pushing  map[ident.DeviceID]context.CancelFunc
	inbound  map[ident.DeviceID]wire.Stream // newest stream of each pusher: an older one is its predecessor's remains
	diverged map[ident.DeviceID]bool        // equal claims, other fingerprint
	closed   bool
	wg       sync.WaitGroup

	once      sync.Once
	completed chan struct{}
}

// New registers the protocol; Run does the rest.
func New(cfg Config) *Replicator {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Replicator{cfg: cfg, pushing: map[ident.DeviceID]context.CancelFunc{},
		inbound: map[ident.DeviceID]wire.Stream{}, diverged: map[ident.DeviceID]bool{}, completed: make(chan struct{})}
	cfg.Network.Handle(Protocol, r.accept)
	return r
}

// Run pushes to every device that events name as connected, until ctx ends; then it resets
// all streams and waits for them.
func (r *Replicator) Run(ctx context.Context, events <-chan Event) {
	ctx, cancel := context.WithCancel(ctx)
	defer r.shut()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				return
			}
			if e.Connected {
				r.start(ctx, e.Device)
			} else {
				r.stop(e.Device)
			}
		}
	}
}

// Completed is closed when some device has told everything that it knew, for the first time.
func (r *Replicator) Completed() <-chan struct{} { return r.completed }

// Diverged lists devices that claim exactly what we claim and yet hold something else: a
// sign of a damaged store on one side.
func (r *Replicator) Diverged() []ident.DeviceID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []ident.DeviceID
	for d := range r.diverged {
		out = append(out, d)
	}
	return out
}

func (r *Replicator) start(ctx context.Context, dev ident.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pushing[dev] != nil || r.closed {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	r.pushing[dev] = cancel
	r.wg.Go(func() { r.keepPushing(ctx, dev) })
}

func (r *Replicator) stop(dev ident.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cancel := r.pushing[dev]; cancel != nil {
		cancel()
		delete(r.pushing, dev)
	}
}

func (r *Replicator) shut() {
	r.mu.Lock()
	r.closed = true
	for dev, cancel := range r.pushing {
		cancel()
		delete(r.pushing, dev)
	}
	for _, s := range r.inbound {
		_ = s.Reset()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// keepPushing runs one push after another until the device has gone. A push ends only when
// its stream breaks, so repeated ones are spaced out.
func (r *Replicator) keepPushing(ctx context.Context, dev ident.DeviceID) {
	const least, most = 100 * time.Millisecond, 10 * time.Second
	for pause := least; ctx.Err() == nil; {
		began := time.Now()
		err := r.push(ctx, dev)
		if ctx.Err() != nil {
			return
		}
		r.cfg.Log.Debug("push ended", "device", dev.Short(), "err", err)
		if time.Since(began) > most {
			pause = least
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, most)
	}
}
