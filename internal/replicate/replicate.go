// Package replicate brings the records of two devices together: over each connection, both
// sides push what the other lacks, first the membership log, then records, and go on pushing
// for as long as the connection lasts.
//
// Each direction is a stream of its own, opened by the side that pushes:
//
//	handshake        both prove to know the share's blind key (handshake.go)
//	pusher   → H     its log heads and its Hello: what it has
//	receiver → H     the same
//	pusher   → M     membership entries that the receiver lacks
//	pusher   → R …   frames of records (package namespace), in the order in which they are safe
//	pusher   → C     complete (at least once): "you may now claim what I claimed when this delta began"
//	receiver → A     its durable claims, at first and whenever they have advanced; before them, M: the
//	                 membership entries that the pusher lacks
//
// M, R and C repeat whenever the pusher has something new. Nothing is pushed before it is
// durable here; the receiver acknowledges after it is durable there. A receiver whose Hello
// announces an audit holds it after the first C: it asks (Q) and is answered (P) until it knows
// what differs, has repairs sent if it wants any (W, then F …, P), and says when it is done (D).
// When a replica has news that every peer must hear first, all streams begin anew. A device that is in
// use twice, by copies of its home, opens the streams itself on which it receives (twice.go).
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
const Protocol = "/shelf/records/3"

// Network opens streams to devices and takes theirs.
type Network interface {
	Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error)
	Handle(protocol string, h func(dev ident.DeviceID, s wire.Stream))
}

// Records is the replica that is kept in step; *namespace.Replica is one.
type Records interface {
	Hello(peer ident.DeviceID) namespace.Hello
	Hear(from ident.DeviceID, h namespace.Hello, sends bool) error
	News() uint64
	Claims() namespace.Claims
	Changed() <-chan struct{}
	Since(ctx context.Context, theirs namespace.Hello) (*namespace.Delta, error)
	Apply(ctx context.Context, from ident.DeviceID, frame []byte) error
	Complete(ctx context.Context, from ident.DeviceID, end namespace.End) (namespace.Claims, error)
	Audit(from ident.DeviceID, end namespace.End) *namespace.Audit
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

	mu      sync.Mutex
	pushing map[ident.DeviceID]context.CancelFunc
	inbound map[ident.DeviceID]*served         // newest stream of each pusher
	pushed  map[wire.Stream]bool               // streams that push
	calls   map[wire.Stream]context.CancelFunc // of them, those that the other side opened
	news    uint64                             // of Records, as the streams know it
	renewed chan struct{}                      // closed and replaced when that grows
	closed  bool
	wg      sync.WaitGroup

	run   run
	twins twins

	once      sync.Once
	completed chan struct{}
}

// New registers the protocol; Run does the rest.
func New(cfg Config) *Replicator {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Replicator{cfg: cfg, pushing: map[ident.DeviceID]context.CancelFunc{},
		inbound: map[ident.DeviceID]*served{}, pushed: map[wire.Stream]bool{}, calls: map[wire.Stream]context.CancelFunc{},
		run: newRun(), twins: newTwins(), renewed: make(chan struct{}), completed: make(chan struct{})}
	r.news = cfg.Records.News()
	cfg.Network.Handle(Protocol, r.accept)
	cfg.Network.Handle(ProtocolCall, r.called)
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

// Renewed is closed at the next news that every peer must hear first.
func (r *Replicator) Renewed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.renewed
}

// Renew has all sessions begin anew if the replica has news that every peer must hear first. It
// is for news that came from no peer, but from this device's user.
func (r *Replicator) Renew() { r.renew(nil) }

// hear takes in what a peer said of itself. If that is news for all, every other stream ends:
// their ends say anew where they stand.
func (r *Replicator) hear(dev ident.DeviceID, s wire.Stream, g greeting, sends bool) error {
	r.twins.heard(dev, g.run, g.twice)
	err := r.cfg.Records.Hear(dev, g.records, sends)
	r.renew(s)
	return err
}

// renew ends all streams but one if the replica has news that every peer must hear first.
func (r *Replicator) renew(but wire.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Records.News()
	if now == r.news {
		return
	}
	r.news = now
	close(r.renewed)
	r.renewed = make(chan struct{})
	for s := range r.pushed {
		if s != but {
			_ = s.Reset()
		}
	}
	for _, in := range r.inbound {
		if in.s != but {
			_ = in.s.Reset()
		}
	}
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
	r.wg.Go(func() { r.keepCalling(ctx, dev) })
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
	for _, in := range r.inbound {
		_ = in.s.Reset()
	}
	for _, cancel := range r.calls {
		cancel()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// keepPushing runs one push after another until the device has gone. A push ends only when
// its stream breaks, so repeated ones are spaced out.
func (r *Replicator) keepPushing(ctx context.Context, dev ident.DeviceID) {
	const least, most = 100 * time.Millisecond, 10 * time.Second
	for pause := least; ctx.Err() == nil; {
		began, news := time.Now(), r.cfg.Records.News()
		err := error(nil) // one that is there twice calls itself
		if !r.twins.twice(dev) {
			err = r.push(ctx, dev)
		}
		if ctx.Err() != nil {
			return
		}
		if r.cfg.Records.News() != news { // we ended it ourselves
			pause = least
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
		if told, _ := r.twins.toldBy(dev); told || r.twins.twice(dev) {
			pause = min(pause, turnTime)
		}
	}
}
