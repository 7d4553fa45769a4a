package fs

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Config is what an FS is made of. What has a comment of its own saying so, and Why,
// StatFS, Clock and Log, may be left out.
type Config struct {
	Names Namespace
	// Rules say which names count as the same on this mount, and which cannot be; unless they
	// are Exact, Names must be a Speller.
	Rules   alias.Rules
	Past    Past    // nil: the root has no .shelf/history
	Changes Changes // begun before New; FS reads it, the caller closes it after Close
	Blocks  Blocks
	Hints   Hints // nil: nobody knows who has what
	Gate    Gate  // nil: whoever may read a file may bring it here
	Uses    Uses  // nil: nobody wants to know what is used
	Store   Store
	Journal Journal // nil: whatever fsync promises is saved
	Holes   Holes   // nil: what is known of them ends with FS
	Sealer  *seal.Sealer

	// Interrupted lists the nodes for which blocks were staged and not settled when the
	// process ended before (cache: Owners(Writing)). Nil: none.
	Interrupted iter.Seq2[[16]byte, error]
	// Damaged tells the store that a block of its failed to open; then it is asked for once
	// more, from elsewhere. Needed only if the store leaves checking to us.
	Damaged func(ctx context.Context, d blocks.Digest) error

	UID, GID uint32 // shown for OwnerID; files created by UID and GID are stored as OwnerID

	// Why says, for a person, why the bytes of a file cannot be had now; "" when they can.
	Why func(ctx context.Context, id namespace.NodeID) string
	// StatFS tells the space; Avail is what can really be written now. It must be quick.
	StatFS func() Usage
	Clock  func() time.Time
	Log    *slog.Logger
	Limits Limits
}

// Limits bound memory and delays. A zero field takes its default.
type Limits struct {
	Unsaved   int64         // bytes of all files not yet sealed: writers wait above; 64 MiB
	Plain     int64         // bytes of opened blocks kept for the next read, at most; 64 MiB
	ReadAhead int64         // bytes a sequential reader asks for in advance, at most; 32 MiB
	Quiet     time.Duration // an open file is saved after this long without a write; 1 s
	Grace     time.Duration // an interrupted caller still waits this long; 250 ms
}

func (l Limits) withDefaults() Limits {
	def := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Unsaved, 64<<20)
	def(&l.Plain, 64<<20)
	def(&l.ReadAhead, 32<<20)
	def((*int64)(&l.Quiet), int64(time.Second))
	def((*int64)(&l.Grace), int64(250*time.Millisecond))
	return l
}

// FS is an open filesystem. Its methods may be called by any number of goroutines.
type FS struct {
	cfg     Config
	log     *slog.Logger
	spelled *spelled // cfg.Names, if its names do not count exactly
	table   table
	plain   *plainCache
	mem     memory
	saver   *saver
	own     ownChanges
	lanes   lanes
	lately  lately
	missed  missed
	sweeps  sweeps
	rests   rests
	trees   trees
	holes   knownHoles

	foreign atomic.Uint64 // counts batches of changes that the kernel did not ask for
	done    atomic.Uint64 // counts changes made here
	inval   atomic.Pointer[Invalidator]

	ctx  context.Context // ends with Close: what goes on without a caller
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// New opens the filesystem and begins to follow changes. It first settles what a crash
// left half written, which takes time in proportion to that. ctx bounds New alone.
func New(ctx context.Context, cfg Config) (*FS, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.StatFS == nil {
		cfg.StatFS = func() Usage { return Usage{} }
	}
	if cfg.Why == nil {
		cfg.Why = func(context.Context, namespace.NodeID) string { return "" }
	}
	cfg.Limits = cfg.Limits.withDefaults()
	fs := &FS{cfg: cfg, log: cfg.Log}
	if cfg.Rules.Folds() {
		var err error
		if fs.spelled, err = spell(cfg.Names, cfg.Rules); err != nil {
			return nil, err
		}
		fs.cfg.Names = fs.spelled
	}
	fs.ctx, fs.stop = context.WithCancel(context.Background())
	fs.table.init(namespace.Root)
	fs.plain = newPlainCache(fs.ctx, &cfg)
	fs.sweeps = sweeps{fs: fs, dirs: map[namespace.NodeID]*sweep{}}
	fs.rests.fs = fs
	fs.saver = newSaver(fs)
	fs.recallHoles()
	if err := fs.recover(ctx); err != nil {
		fs.stop()
		return nil, errs.E("fs.New", errs.Other, "", err)
	}
	fs.saver.start()
	if err := fs.recoverPromises(); err != nil { // what is damaged must not keep the rest from being used
		fs.log.Error("what fsync promised before the last end cannot be kept for all files", "err", err)
	}
	if cfg.Changes != nil {
		fs.wg.Go(fs.follow)
	}
	return fs, nil
}

// SetInvalidator says whom to tell what must be forgotten; an adapter calls it when its
// mount is there, and again with nil when it is gone.
func (fs *FS) SetInvalidator(i Invalidator) {
	if i == nil {
		fs.inval.Store(nil)
		return
	}
	fs.inval.Store(&i)
}

// Sync returns when everything that was written or changed before is durable here.
func (fs *FS) Sync(ctx context.Context) error {
	if err := fs.saver.saveAll(ctx); err != nil {
		return errs.E("fs.Sync", errs.Other, "", err)
	}
	return fs.cfg.Names.Sync(ctx)
}

// Stats are numbers to look at from outside.
type Stats struct {
	Inodes       int    // held in memory: known to a kernel, open or unsaved
	UnsavedFiles int    // with changes that are not committed
	UnsavedBytes int64  // memory that these changes take
	PlainBytes   int64  // memory of the cache of opened blocks
	Foreign      uint64 // batches of changes that did not come from here
}

// Stats returns the present numbers.
func (fs *FS) Stats() Stats {
	files, bytes := fs.Unsaved()
	return Stats{
		Inodes: fs.table.size(), UnsavedFiles: files, UnsavedBytes: bytes, PlainBytes: fs.plain.held(), Foreign: fs.foreign.Load(),
	}
}

// Unsaved counts the files, and their bytes in memory, that are not committed yet.
func (fs *FS) Unsaved() (files int, bytes int64) {
	return fs.saver.pending(), fs.mem.used.Load()
}

// Close saves what is unsaved, for as long as ctx allows, and ends the filesystem. The
// adapter must have stopped before. The error says that something could not be saved.
func (fs *FS) Close(ctx context.Context) error {
	err := fs.Sync(ctx)
	fs.saver.drain(ctx)
	fs.stop()
	fs.saver.end()
	fs.wg.Wait()
	return err
}

// now is the clock in nanoseconds.
func (fs *FS) now() int64 { return fs.cfg.Clock().UnixNano() }

// expect notes what an operation of this filesystem is about to change.
func (fs *FS) expect(keys ...changeKey) (done func(error)) {
	told := fs.own.expect(fs.cfg.Clock(), keys...)
	return func(err error) {
		fs.done.Add(1)
		told(err)
	}
}

// moment tells when an entry was read, to those who answer with it a little later.
type moment struct {
	foreign uint64 // an answer that saw two is not kept by a kernel: it may never hear of the second
	done    uint64 // an entry from before a change made here is read again
}

// moment is taken before an entry is read.
func (fs *FS) moment() moment { return moment{fs.foreign.Load(), fs.done.Load()} }

// wait waits for done. When ctx ends first, done gets a grace: programs are interrupted
// all the time (Go's by their own runtime), and git takes an early EINTR badly.
func (fs *FS) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-fs.ctx.Done():
		return errs.E("fs", errs.Closed, "", nil)
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) { // that is grace enough
		return errs.E("fs", errs.Timeout, "", ctx.Err())
	}
	t := time.NewTimer(fs.cfg.Limits.Grace)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-fs.ctx.Done():
		return errs.E("fs", errs.Closed, "", nil)
	case <-t.C:
		return errs.E("fs", errs.Interrupted, "", ctx.Err())
	}
}
