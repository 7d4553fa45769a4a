package heat

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// Names is the namespace as heat needs it; *namespace.Replica is one.
type Names interface {
	Get(id namespace.NodeID) (namespace.Entry, error)
	Placement(id namespace.NodeID, dev ident.DeviceID) (effective, own namespace.Placement, err error)
}

// Changes tells what is no longer as it was; a *namespace.Watcher is one.
type Changes interface {
	Next(ctx context.Context) ([]namespace.Change, error)
}

// Network opens streams to devices and takes theirs.
type Network interface {
	Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error)
	Handle(protocol string, h func(dev ident.DeviceID, s wire.Stream))
}

// Sealer seals what only devices with the keys of the share may read; *seal.Sealer is one.
type Sealer interface {
	SealRecord(header, payload []byte) []byte
	OpenRecord(header, sealed []byte) ([]byte, error)
}

// Reason is why something was brought.
type Reason uint8

const (
	UsedHere      Reason = iota // it is hot on this device
	UsedElsewhere               // it is hot on another one of this network
)

// Device is the rest of this device as heat needs it.
type Device interface {
	// Near lists the devices that are connected and on this network.
	Near() []ident.DeviceID
	// Missing is how many bytes of a content are not on this device, without asking anybody.
	Missing(ctx context.Context, c blocks.Content) int64
	// Bring fetches what is missing of a content as cache, least urgent of all; for UsedElsewhere from
	// devices on this network alone. It returns how many bytes came, also beside an error.
	Bring(ctx context.Context, c blocks.Content, why Reason) (int64, error)
	// Brought is told what came of a file.
	Brought(id namespace.NodeID, why Reason, bytes int64)
	// Room is how many bytes of the cache the files that heat keeps may take now: the owner's budget, or
	// less where the cache or the disk is short of room.
	Room() int64
}

// Config makes an Engine. Log may be left out.
type Config struct {
	Self    ident.DeviceID
	Meter   *Meter
	Names   Names
	Network Network
	Sealer  Sealer
	Device  Device
	Log     *slog.Logger
}

// Event tells that a device became reachable or unreachable.
type Event = struct {
	Device    ident.DeviceID
	Connected bool
}

const (
	settleTime  = 3 * time.Second  // after the last change of anything, before it is looked what to bring
	settleMost  = 15 * time.Second // changes that do not end are waited for no longer
	lookEvery   = 5 * time.Minute  // without any change: what could not be had may be there now, room may have come
	againAfter  = 20 * time.Second // before a content is tried again that could not be had; twice as long each time
	againMost   = time.Hour        // … up to this
	sparing     = 15 * time.Second // between two contents of one file: one that is written all the time is not followed
	turn        = 2 * time.Minute  // for one file; then it waits until others have had theirs
	forgetAfter = 24 * time.Hour   // what a device said that says nothing more
	maxNews     = 1024             // files that changed elsewhere and were never used here
)

// Engine brings what is hot and tells what is used.
type Engine struct {
	cfg Config

	wake chan struct{} // capacity 1: something that decides what to bring has changed
	tell chan struct{} // capacity 1: somebody new is there

	mu     sync.Mutex
	sets   map[ident.DeviceID]heard
	news   map[namespace.NodeID]bool // files that changed elsewhere; bounded
	chosen map[namespace.NodeID]kept // what is kept now
	spent  spent
}

// heard is what a device said of its working set.
type heard struct {
	set  set
	when time.Time
}

// kept is a file that was chosen to be kept here.
type kept struct {
	why   Reason
	size  int64
	next  time.Time // not to be brought before
	root  digest    // the content that was tried last
	fails int       // how often in vain
}

// spent is what was brought within a day.
type spent struct {
	since time.Time
	bytes int64
}

// New makes an engine and registers its protocol; Run does the work.
func New(cfg Config) *Engine {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: cfg, wake: make(chan struct{}, 1), tell: make(chan struct{}, 1),
		sets: map[ident.DeviceID]heard{}, news: map[namespace.NodeID]bool{}, chosen: map[namespace.NodeID]kept{}}
	cfg.Network.Handle(Protocol, e.hear)
	return e
}

// Run works until ctx ends, and then waits for what it began.
func (e *Engine) Run(ctx context.Context, changes Changes, events <-chan Event) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { e.watch(ctx, changes) })
	wg.Go(func() { e.bringLoop(ctx) })
	wg.Go(func() { e.tellLoop(ctx) })
	for used := e.cfg.Meter.Used(); ; {
		select {
		case <-ctx.Done():
			return
		case <-used:
			used = e.cfg.Meter.Used() // before anybody looks what it was: nothing falls between
		case ev, ok := <-events:
			if !ok {
				return
			}
			if ev.Connected {
				e.retry()
			}
		}
		poke(e.tell)
		poke(e.wake)
	}
}

// watch hears of contents that other devices changed, or made and gave a name at once, and of wishes about where
// files are to be.
func (e *Engine) watch(ctx context.Context, w Changes) {
	for {
		changes, err := w.Next(ctx)
		if err != nil {
			return
		}
		matters := false
		e.mu.Lock()
		for _, c := range changes {
			switch {
			case (c.What == namespace.ContentChanged || c.What == namespace.NameChanged) && c.Remote && !c.Node.IsZero() && !c.Node.IsDir():
				if len(e.news) >= maxNews {
					clear(e.news) // a device that changes so much does no work of a person's
				}
				e.news[c.Node] = true
				matters = true
			case c.What == namespace.PlacementChanged, c.What == namespace.Overflow:
				matters = true
			}
		}
		e.mu.Unlock()
		if matters {
			poke(e.wake)
		}
	}
}

// bringLoop looks what to bring when something has changed and come to rest.
func (e *Engine) bringLoop(ctx context.Context) {
	again := settleTime // soon after the start
	for {
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-e.wake:
			timer.Stop()
			if !e.rest(ctx) {
				return
			}
		case <-timer.C:
		}
		again = max(e.round(ctx), settleTime)
	}
}

// rest waits until nothing has changed for settleTime, but no longer than settleMost.
func (e *Engine) rest(ctx context.Context) bool {
	quiet, most := time.NewTimer(settleTime), time.NewTimer(settleMost)
	defer quiet.Stop()
	defer most.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-e.wake:
			quiet.Reset(settleTime)
		case <-quiet.C:
			return true
		case <-most.C:
			return true
		}
	}
}

// round chooses what is to be kept and brings what of it is not here. It returns after how long something
// may be there that is not now. Small files come first: the large ones keep them waiting, not the reverse.
func (e *Engine) round(ctx context.Context) (again time.Duration) {
	again = lookEvery
	chosen := e.choose()
	slices.SortStableFunc(chosen, func(a, b wish) int { return cmp.Compare(a.size, b.size) })
	for _, w := range chosen {
		if wait := e.keep(ctx, w); wait > 0 {
			again = min(again, wait)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return again
}

// choose makes the choice of what is kept now.
func (e *Engine) choose() []wish {
	chosen, hot := choose(e.wishes(), e.cfg.Device.Room()), map[namespace.NodeID]bool{}
	e.mu.Lock()
	was := e.chosen
	e.chosen = make(map[namespace.NodeID]kept, len(chosen))
	for _, w := range chosen {
		k := was[w.node]
		k.size, k.why = w.size, UsedHere
		if w.near {
			k.why = UsedElsewhere
		}
		e.chosen[w.node], hot[w.node] = k, !w.near
	}
	e.mu.Unlock()
	e.cfg.Meter.keep(hot)
	return chosen
}

// keep brings one file, if it is not here and its time has come. It returns how long to wait otherwise.
func (e *Engine) keep(ctx context.Context, w wish) time.Duration {
	ent, why, ok := e.wanted(w)
	if !ok {
		return 0
	}
	missing := e.cfg.Device.Missing(ctx, ent.Content)
	if missing == 0 {
		return 0
	}
	root := digest(ent.Content.Root[:8])
	if f := e.cfg.Meter.Of(w.node); f.Freed || f.brought == root { // it was here, and had to go
		return 0
	}
	if wait := e.wait(w.node, root); wait > 0 {
		return wait
	}
	if why == UsedElsewhere && len(e.cfg.Device.Near()) == 0 {
		return 0 // who comes wakes us
	}
	room := e.cfg.Device.Room()
	if w.size > room || !e.spend(missing, room) {
		return lookEvery
	}
	ctx, cancel := context.WithTimeout(ctx, turn)
	defer cancel()
	n, err := e.cfg.Device.Bring(ctx, ent.Content, why)
	e.cfg.Log.Debug("brought because it is used", "elsewhere", why == UsedElsewhere, "bytes", n, "err", err)
	e.spend(n-missing, room)
	if n > 0 {
		e.cfg.Device.Brought(w.node, why, n)
	}
	if err == nil {
		e.cfg.Meter.Brought(w.node, ent.Content.Root)
	}
	return e.tried(w.node, root, n, err)
}

// wait is how long a file is left alone still, which has that content now.
func (e *Engine) wait(n namespace.NodeID, root digest) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := e.chosen[n]
	if k.fails > 0 && k.root != root {
		return 0
	}
	return max(0, time.Until(k.next))
}

// retry has what could not be had tried anew: somebody has come who may have it.
func (e *Engine) retry() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for n, k := range e.chosen {
		if k.fails > 0 {
			k.fails, k.next = 0, time.Time{}
			e.chosen[n] = k
		}
	}
}

// tried notes that so many bytes of a content came; with an error it returns when to go on.
func (e *Engine) tried(n namespace.NodeID, root digest, came int64, err error) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, ok := e.chosen[n]
	if !ok {
		return 0
	}
	if k.root != root {
		k.fails = 0
	}
	wait := sparing
	if err != nil && came == 0 {
		wait = min(againAfter<<min(k.fails, 16), againMost)
		k.fails++
	} else {
		k.fails = 0
	}
	k.root, k.next = root, time.Now().Add(wait)
	e.chosen[n] = k
	if err == nil {
		return 0
	}
	return wait
}

// spend takes n bytes (negative: gives them back) of what may be brought in a day, which is no more than may be kept: so
// contents that change all the time cost a bounded amount.
func (e *Engine) spend(n, most int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.spent.since) >= 24*time.Hour {
		e.spent = spent{since: time.Now()}
	}
	if n > 0 && e.spent.bytes+n > most {
		return false
	}
	e.spent.bytes = max(0, e.spent.bytes+n)
	return true
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
