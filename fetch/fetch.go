// Package fetch brings the blocks that are wanted: it looks in the cache, asks the nearest
// device that has them, the most urgent first, verifies what arrives and keeps it.
//
// For each block there is at most one flight, whoever and however many want it. It is as
// urgent as its most urgent waiter and is given up when the last one leaves. A flight waits in
// a queue (queue.go) until there is memory for it (budget.go) and a device has room (choose.go),
// makes attempts at one device after the other (attempt.go), and a second attempt beside the first
// where that one is slow (hedge.go). A part of a block that is all its reader needs has a flight of its own (part.go). What was learnt about devices is in the book (book.go, page.go).
//
// Which one is asked: a device on this network that may have the block before any over the internet, of those one
// that is known to have it before any other, and among equals the one that is likely to bring it soonest, as measured. What comes first: the more urgent,
// and among equals one group of blocks (group.go), as of a file, in turn with the others.
//
// The package knows neither keys nor files nor sockets: devices are Sources, which package
// exchange makes.
package fetch

import (
	"cmp"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// Cache is the store of blocks on this device.
type Cache interface {
	blocks.Getter // NotExist: not here
	blocks.Putter // NoSpace: no room; the block is handed on all the same
}

// Limits bound the work in progress. Zero fields mean the defaults.
type Limits struct {
	InFlightBytes int64         // asked for and not kept yet, all devices, OnDemand not counted in; default 64 MiB
	UrgentBytes   int64         // the same for OnDemand; default 64 MiB
	PerSource     int64         // the same for one device: the ceiling of what its rate allows; default 32 MiB
	AheadBytes    int64         // blocks read ahead that are held in memory until they are taken; default 32 MiB
	OnDemand      time.Duration // an urgent reader's wait without any progress; default 20 s
	Grace         time.Duration // how long to wait for a device that was there a moment ago; default 2 s
	RelayGrace    time.Duration // the same for one that was reached through a relay; default 10 s
	Linger        time.Duration // how long a request under way outlives its last waiter; default 2 s
}

func (l Limits) orDefault() Limits {
	l.InFlightBytes = cmp.Or(l.InFlightBytes, 64<<20)
	l.UrgentBytes = cmp.Or(l.UrgentBytes, 64<<20)
	l.PerSource = cmp.Or(l.PerSource, 32<<20)
	l.AheadBytes = cmp.Or(l.AheadBytes, 32<<20)
	l.OnDemand = cmp.Or(l.OnDemand, 20*time.Second)
	l.Grace = cmp.Or(l.Grace, 2*time.Second)
	l.RelayGrace = cmp.Or(l.RelayGrace, 10*time.Second)
	l.Linger = cmp.Or(l.Linger, 2*time.Second)
	return l
}

// Report tells of a device that sent something else than it was asked for.
type Report struct {
	Device ident.DeviceID
	Digest blocks.Digest
	Err    error // Corrupt or Protocol
}

// Config makes a Fetcher.
type Config struct {
	Cache   Cache
	Locator Locator
	Limits  Limits
	Present func(blocks.Digest) bool // optional, cheap: the block is in the cache; spares reading it to see
	// Came hears of each block that somebody asked for and of the device that it came from, when it is there; optional. As Report.
	Came   func(blocks.Digest, ident.DeviceID)
	Report func(Report)                // optional; called without locks, from many goroutines; must not block
	Name   func(ident.DeviceID) string // optional: a device's name for people
	Pacer  Pacer                       // optional
	Log    *slog.Logger                // optional
}

// Fetcher is a blocks.Getter over all devices.
type Fetcher struct {
	cfg   Config
	lim   Limits
	log   *slog.Logger
	ctx   context.Context // ends at Close
	stop  context.CancelFunc
	wg    sync.WaitGroup
	start time.Time

	workers chan struct{} // filled by those who check and keep what nobody waits for
	memory  memory

	// mu guards everything below and all flights. It is never held across a wait or a call
	// of anything foreign but Locator.Devices and Source.Device, which answer from memory.
	mu      sync.Mutex
	flights map[blocks.Digest]*flight
	parts   map[*flight]struct{} // flights of parts
	queues  [priorities]queue
	parked  map[*flight]struct{} // no device to ask now
	loose   *Group               // of blocks that belong to no other
	devices []Candidate          // as of the last look
	book    book
	load    load
	hedges  bucket
	ahead   ahead
	lapses  lapses
	waker   waker
	arrived time.Time // when anything last came
	changes uint64    // how often a device came or went
	closed  bool
}

// New returns a Fetcher. Close it to stop what is under way.
func New(cfg Config) *Fetcher {
	f := &Fetcher{
		cfg: cfg, lim: cfg.Limits.orDefault(), log: cfg.Log, start: time.Now(),
		flights: map[blocks.Digest]*flight{}, parts: map[*flight]struct{}{}, parked: map[*flight]struct{}{}, book: newBook(), lapses: lapses{},
		hedges: bucket{hedgeBurst}, workers: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
	}
	f.loose = f.Group()
	f.loose.loose = true
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.cfg.Name == nil {
		f.cfg.Name = ident.DeviceID.Short
	}
	f.ahead = newAhead(f.lim.AheadBytes)
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.wg.Go(f.watch)
	return f
}

// GetBlock is Get at OnDemand.
func (f *Fetcher) GetBlock(ctx context.Context, d blocks.Digest) (blocks.Sealed, error) {
	return f.Get(ctx, d, OnDemand)
}

// Get brings one block, from the cache or from a device; the result is verified. Errors:
// Offline when no device that has it can be reached, Timeout when nothing moved for the
// time allowed, Corrupt when every device that has it sent something else, Interrupted when
// ctx ended, Closed.
func (f *Fetcher) Get(ctx context.Context, d blocks.Digest, p Priority) (blocks.Sealed, error) {
	return f.get(ctx, f.loose, d, p, blocks.Stretch{})
}

func (f *Fetcher) get(ctx context.Context, g *Group, d blocks.Digest, p Priority, next blocks.Stretch) (blocks.Sealed, error) {
	if b, ok := f.Local(ctx, d); ok {
		return b, nil
	}
	p = p.clamp()
	fl, err := f.join(d, waiter{prio: p, group: g, next: next})
	if err != nil {
		return blocks.Sealed{}, err
	}
	select {
	case <-fl.done:
		return fl.block, fl.err // both set before done was closed
	case <-ctx.Done():
		f.mu.Lock()
		f.leaveLocked(fl, p)
		fl.unholdLocked()
		f.mu.Unlock()
		return blocks.Sealed{}, errs.E("fetch.Get", errs.Other, d.Short(), ctx.Err())
	}
}

func (f *Fetcher) join(d blocks.Digest, w waiter) (*flight, error) {
	w.group.follow()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.lapsedLocked(d); err != nil && w.prio.Urgent() {
		return nil, err
	}
	fl, err := f.joinLocked(d, w)
	if err == nil {
		fl.holdLocked()
	}
	return fl, err
}

// Local is Get for a block that is on this device, and false for any other: it looks at what was read ahead, and in the
// cache. A flight that has its block already is to be joined instead: its bytes are in memory.
func (f *Fetcher) Local(ctx context.Context, d blocks.Digest) (blocks.Sealed, bool) {
	h, ok := f.takeAhead(d)
	if ok || f.flying(d) {
		return h.Sealed, ok
	}
	b, err := f.read(ctx, d)
	if err != nil {
		_ = f.notHere(d, err)
	}
	return b, err == nil
}

// takeAhead takes a block that was read ahead.
func (f *Fetcher) takeAhead(d blocks.Digest) (held, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.ahead.take(d)
	if h.along && !f.closed {
		f.wg.Go(func() { f.adopt(h) })
	}
	return h, ok
}

// present reports whether the cache has a block.
func (f *Fetcher) present(d blocks.Digest) bool {
	if f.cfg.Present != nil {
		return f.cfg.Present(d)
	}
	_, err := f.cfg.Cache.GetBlock(f.ctx, d)
	return err == nil
}

// Close ends everything under way with errs.Closed and waits for it.
func (f *Fetcher) Close() error {
	f.mu.Lock() // before anything is stopped, or flights would end for other reasons
	f.closed = true
	for _, fl := range f.flights {
		f.failLocked(fl, errs.E("fetch.Close", errs.Closed, "", nil))
	}
	for fl := range f.parts {
		f.failLocked(fl, errs.E("fetch.Close", errs.Closed, "", nil))
	}
	f.mu.Unlock()
	f.stop()
	f.wg.Wait()
	return nil
}
