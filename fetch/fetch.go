// Package fetch brings the blocks that are wanted: it looks in the cache, asks the nearest
// device that has them, the most urgent first, verifies what arrives and keeps it.
//
// It knows neither keys nor files nor sockets: devices are Sources, which package exchange
// makes.
package fetch

import (
	"context"
	"iter"
	"log/slog"
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
	InFlightBytes int64         // asked for and not arrived, all devices, OnDemand not counted in; default 64 MiB
	PerSource     int64         // the same for one device: the ceiling of what its rate allows; default 32 MiB
	AheadBytes    int64         // blocks read ahead that are held in memory until they are taken; default 32 MiB
	OnDemand      time.Duration // an urgent reader's wait without any progress; default 20 s
	Bulk          time.Duration // the same for all other classes; default 60 s
	Grace         time.Duration // how long to wait for a device that was there a moment ago; default 2 s
	Linger        time.Duration // how long a request under way outlives its last waiter; default 2 s
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
	Present func(blocks.Digest) bool  // optional, cheap: the block is in the cache; lets FetchAll and Want skip it unread
	Verify  func(blocks.Sealed) error // optional, after the digest has been checked: for instance its seal
	Report  func(Report)              // optional
	Log     *slog.Logger
}

// Fetcher is a blocks.Getter over all devices.
type Fetcher struct{ cfg Config }

// New returns a Fetcher. Close it to stop what is under way.
func New(cfg Config) *Fetcher { return &Fetcher{cfg: cfg} }

// GetBlock is Get at OnDemand.
func (f *Fetcher) GetBlock(ctx context.Context, d blocks.Digest) (blocks.Sealed, error) {
	return f.Get(ctx, d, OnDemand)
}

// Get brings one block, from the cache or from a device; the result is verified. Errors:
// Offline when no device that has it can be reached, Timeout when nothing moved for the
// class's time, Interrupted when ctx ended, Closed.
func (f *Fetcher) Get(ctx context.Context, d blocks.Digest, p Priority) (blocks.Sealed, error) {
	return blocks.Sealed{}, errs.E("fetch.Get", errs.Unsupported, "", nil)
}

// Wanted is a set of blocks being fetched ahead of need.
type Wanted struct{}

// Cancel says that nobody needs them any more. Repeated calls are harmless.
func (w *Wanted) Cancel() {}

// Want starts fetching ds, in their order, and returns at once. Failures are silent: whoever
// needs a block then asks for it with Get.
func (f *Fetcher) Want(p Priority, ds ...blocks.Digest) *Wanted { return &Wanted{} }

// Ahead is Want at ReadAhead, in a form that needs no type of this package.
func (f *Fetcher) Ahead(ds ...blocks.Digest) (cancel func()) { return f.Want(ReadAhead, ds...).Cancel }

// FetchAll brings every block of ds into the cache, many at once, and calls each for every one
// (from the calling goroutine, not in order) with nil or the reason why it is not in the cache.
// It returns when all are done or, with an error, when ctx ends.
func (f *Fetcher) FetchAll(ctx context.Context, p Priority, ds iter.Seq[blocks.Digest], each func(blocks.Digest, error)) error {
	return errs.E("fetch.FetchAll", errs.Unsupported, "", nil)
}

// Why says in a sentence what a block is waiting for; "" when nobody waits for it.
func (f *Fetcher) Why(d blocks.Digest) string { return "" }

// Close ends everything under way with errs.Closed and waits for it.
func (f *Fetcher) Close() error { return nil }
