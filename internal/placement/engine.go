package placement

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// Names is the namespace as placement needs it; *namespace.Replica is one.
type Names interface {
	Get(id namespace.NodeID) (namespace.Entry, error)
	List(dir namespace.NodeID, after uint64, n int) ([]namespace.DirEntry, error)
	Contents(id namespace.NodeID) ([]blocks.Content, error)
	FormerContents(id namespace.NodeID) ([]blocks.Content, error)
	Placement(id namespace.NodeID, dev ident.DeviceID) (effective, own namespace.Placement, err error)
	SetPlacement(id namespace.NodeID, dev ident.DeviceID, p namespace.Placement) error
	Watch() *namespace.Watcher
}

// Peers asks other devices about blocks; *exchange.Exchange is one.
type Peers interface {
	Have(ctx context.Context, dev ident.DeviceID, ds []blocks.Digest) ([]exchange.Class, error)
	Release(ctx context.Context, dev ident.DeviceID, ls []exchange.Leave) ([][]bool, error)
}

// Network opens streams to devices and takes theirs.
type Network interface {
	Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error)
	Handle(protocol string, h func(dev ident.DeviceID, s wire.Stream))
}

// Urgency is how soon blocks are wanted.
type Urgency uint8

const (
	ForPin    Urgency = iota // a person asked to keep them here
	ForSafety                // another device asked us to hold them
	Here                     // not wanted from others: only what is here counts
)

// Config makes an Engine.
type Config struct {
	Self    ident.DeviceID
	DB      *kv.DB
	Names   Names
	Store   *cache.Store
	Peers   Peers
	Network Network
	// Digests lists every block of a content, manifests included, fetching those manifests
	// that are not here. holders said that they keep all of it.
	Digests func(ctx context.Context, c blocks.Content, u Urgency, holders ...ident.DeviceID) iter.Seq2[blocks.Digest, error]
	// Fetch brings blocks of one file into the store, and calls each for every one.
	Fetch func(ctx context.Context, u Urgency, holders []ident.DeviceID, ds iter.Seq[blocks.Digest], each func(blocks.Digest, error)) error
	// Sender tells which device sent a block that Fetch brought just now, if it is known. Optional.
	Sender func(blocks.Digest) (ident.DeviceID, bool)
	Held   func(u Urgency) bool // optional: nothing of it is to be fetched until the machine or its network is another; must not wait
	Log    *slog.Logger
	Quota  int64 // bytes of the store that pins may take, with what is held for others; 0: all
	Lost   bool  // the store began empty: what was kept before is no longer here
}

// Event tells that a device became reachable or unreachable.
type Event = struct {
	Device    ident.DeviceID
	Connected bool
}

// Engine carries out placements and lets go of blocks that other devices keep.
type Engine struct {
	cfg       Config
	ledger    *ledger
	listeners listeners
	leaving   leaving
	pins      *pins
	hurt      hurt
	wake      chan struct{} // capacity 1: the release loop has work

	mu        sync.Mutex
	connected map[ident.DeviceID]context.CancelFunc
	release   map[namespace.NodeID]bool      // nodes whose blocks somebody else may keep by now; true: anybody may
	everyNode bool                           // as if all were in release
	dying     map[cache.Owner]time.Time      // since when an owner has had blocks that its node shows no more
	written   map[namespace.NodeID]time.Time // last write here, not announced yet
	wg        sync.WaitGroup
}

// New makes an engine and registers its protocols; Run does the work.
func New(cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l, err := openLedger(cfg.DB)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, ledger: l, wake: make(chan struct{}, 1), connected: map[ident.DeviceID]context.CancelFunc{},
		release: map[namespace.NodeID]bool{}, dying: map[cache.Owner]time.Time{}, written: map[namespace.NodeID]time.Time{}}
	e.pins = newPins(e)
	e.hurt.ds, e.hurt.wake = map[blocks.Digest]bool{}, make(chan struct{}, 1)
	cfg.Network.Handle(KeepProtocol, e.hear)
	cfg.Network.Handle(HoldProtocol, e.answerHold)
	return e, nil
}

// Run works until ctx ends and then waits for what it began.
func (e *Engine) Run(ctx context.Context, events <-chan Event) error {
	ctx, cancel := context.WithCancel(ctx)
	defer e.wg.Wait()
	defer cancel()
	w := e.cfg.Names.Watch()
	defer w.Close()
	e.wg.Go(func() { e.pins.run(ctx) })
	e.wg.Go(func() { e.releaseLoop(ctx) })
	e.wg.Go(func() { e.mendLoop(ctx) })
	e.wg.Go(func() { e.watch(ctx, w) })
	if e.cfg.Lost {
		if err := e.forgetKept(); err != nil {
			return err
		}
	}
	e.pins.resume()
	e.lookAtAll()
	for {
		select {
		case <-ctx.Done():
			return e.ledger.flush()
		case ev, ok := <-events:
			if !ok {
				return e.ledger.flush()
			}
			e.peer(ctx, ev)
		}
	}
}

// peer begins or ends announcing to a device.
func (e *Engine) peer(ctx context.Context, ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !ev.Connected {
		if cancel := e.connected[ev.Device]; cancel != nil {
			cancel()
			delete(e.connected, ev.Device)
		}
		return
	}
	if e.connected[ev.Device] != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	e.connected[ev.Device] = cancel
	e.wg.Go(func() {
		for ctx.Err() == nil {
			err := e.announce(ctx, ev.Device)
			e.cfg.Log.Debug("announcing ended", "device", ev.Device.Short(), "err", err)
			sleep(ctx, time.Second)
		}
	})
	e.pins.retry() // somebody new may have what was missing
}

// online lists the connected devices.
func (e *Engine) online() []ident.DeviceID {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []ident.DeviceID
	for d := range e.connected {
		out = append(out, d)
	}
	return out
}

// Keepers lists the devices that said they keep a content whole, given the versions that
// show it; those that are away are among them.
func (e *Engine) Keepers(dots []namespace.Dot) []ident.DeviceID { return e.ledger.keepers(dots) }

// watch follows the namespace: contents that came or went, placements that changed. Files that
// change at the same time are looked at together, each once.
func (e *Engine) watch(ctx context.Context, w *namespace.Watcher) {
	for {
		changes, err := w.Next(ctx)
		if err != nil {
			return
		}
		var files touched
		for _, c := range changes {
			switch c.What {
			case namespace.ContentChanged:
				files.content(c.Node, c.Remote)
			case namespace.PlacementChanged:
				e.pins.placementChanged(c.Node)
			case namespace.NameChanged:
				if c.Node.IsDir() {
					e.pins.moved(c.Node)
				} else {
					files.add(c.Node)
				}
				if c.Old != c.Node {
					files.content(c.Old, c.Remote)
				}
			case namespace.Overflow:
				e.pins.rescan()
				e.lookAtAll()
			}
		}
		e.look(ctx, &files)
	}
}

// touched are files that have changed, in order.
type touched struct {
	all  []namespace.NodeID
	here map[namespace.NodeID]bool // those whose content did; true: by a change made here
}

func (t *touched) add(n namespace.NodeID) {
	if !n.IsZero() && !n.IsDir() {
		t.all = append(t.all, n)
	}
}

func (t *touched) content(n namespace.NodeID, remote bool) {
	if n.IsZero() || n.IsDir() {
		return
	}
	t.all = append(t.all, n)
	if t.here == nil {
		t.here = map[namespace.NodeID]bool{}
	}
	t.here[n] = t.here[n] || !remote
}

// lookAtAll announces again what was written here and tries all releases: after a start, or
// when the watcher could not keep up, nobody knows what was missed.
func (e *Engine) lookAtAll() {
	written := e.owners(cache.Written)
	e.mu.Lock()
	for _, n := range written {
		e.written[n] = time.Now()
	}
	e.mu.Unlock()
	e.tryAllReleases()
}

// look takes note of files that have changed.
func (e *Engine) look(ctx context.Context, files *touched) {
	seen := make(map[namespace.NodeID]bool, len(files.all))
	all := slices.DeleteFunc(files.all, func(n namespace.NodeID) bool {
		was := seen[n]
		seen[n] = true
		return was
	})
	for _, n := range all {
		e.adopt(ctx, n)
	}
	e.pins.consider(all...)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range all {
		switch here, content := files.here[n]; {
		case here:
			e.written[n] = time.Now()
		case content:
			e.queueLocked(n) // blocks of versions that are gone need not be kept
		}
	}
	if len(files.here) > 0 {
		e.poke()
	}
}

// adopt keeps the blocks of a conflict copy under its own name: until now they were kept for
// the file that it split off from, which may need them no more.
func (e *Engine) adopt(ctx context.Context, n namespace.NodeID) {
	ent, err := e.cfg.Names.Get(n)
	if err != nil || ent.Conflict == nil || ent.Kind != namespace.File || !kept(e.class(ent.Content.Root)) {
		return
	}
	mine := map[cache.Kind][]blocks.Digest{}
	for d, err := range e.cfg.Digests(ctx, ent.Content, ForSafety) {
		if err != nil {
			return
		}
		switch e.class(d) {
		case cache.Staged:
			mine[cache.Written] = append(mine[cache.Written], d)
		case cache.Pinned:
			mine[cache.Hold] = append(mine[cache.Hold], d)
		}
	}
	e.pins.keep.Lock() // against sweep
	defer e.pins.keep.Unlock()
	for k, ds := range mine {
		if err := e.cfg.Store.Own(cache.Owner{Kind: k, Node: n}, ds...); err != nil {
			e.cfg.Log.Warn("conflict copy not kept", "err", err)
		}
	}
}

func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// gone reports whether err says that a node is no longer shown.
func gone(err error) bool { return errs.Is(err, errs.Stale) || errs.Is(err, errs.NotExist) }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
