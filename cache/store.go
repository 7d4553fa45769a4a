package cache

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kdf"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/logfold"
)

// Options of Open.
type Options struct {
	Limit      int64                            // bytes; 0: 10 GiB
	DiskFloor  int64                            // bytes left free on the disk by staged blocks, twice by others; 0: 64 MiB, < 0: none
	CacheBytes int64                            // memory for the index; 0: kv's default
	TrustDisk  bool                             // reads leave out SHA-256, since who opens the block notices damage: see Damaged
	OnCorrupt  func(d blocks.Digest, was Class) // a copy failed its check and was dropped; must not call the store, nor wait
	Logger     *slog.Logger                     // nil: silent
	FS         kv.FS                            // the disk below; nil: the machine's
	fault      faults                           // tests
}

// faults lets tests stand in for the machine.
type faults struct {
	disk    disk
	db      kv.Options
	free    func() int64
	segment int64
}

// Store is an open cache. All methods may be called by any number of goroutines.
type Store struct {
	o    Options
	log  *slog.Logger
	db   *kv.DB
	segs *segments
	heat *heat

	// mu guards the index against read-modify-write by two at once, and what follows. It is
	// held over index reads and unsynced index commits, never over segments, syncs, waits.
	mu       sync.Mutex
	t        totals
	segSums  map[uint32]segSum
	limit    int64
	reserved int64 // admitted, not yet in the totals
	pending  int64 // freed, not yet given back to the disk
	free     int64 // bytes on the disk, at
	freeAt   time.Time
	freed    []region // whose rows are deleted, perhaps not durably
	unsynced []uint64 // seg<<32|off of rows whose records may not be durable
	recount  bool     // the totals are wrong; the next Open counts

	evicting   chan struct{} // semaphore: one evicts, the others wait for room
	reclaiming sync.Mutex    // one gives ranges back; held over IO, taken by nobody on a read
	compacting sync.Mutex    // one copies segments; likewise
	group      group         // shares syncs
	failed     atomic.Pointer[errs.Error]
	noPunch    atomic.Bool

	corrupt, evictions, lost atomic.Int64
	reports                  *logfold.Fold[Class] // of damaged blocks

	closed  atomic.Bool
	closing chan struct{}
	poke    chan struct{}
	bg      sync.WaitGroup
}

// Open opens the cache in dir, which it makes where there is none. master is the device's
// local key. Errors are those of kv.Open: Busy, Permission (another key), Corrupt, NoSpace.
func Open(dir string, master [32]byte, o Options) (*Store, error) {
	const op = "cache.Open"
	o.setDefaults(dir)
	if err := o.fault.disk.Mkdir(); err != nil {
		return nil, errs.FromOS(op, "", err)
	}
	ko := o.fault.db
	ko.CacheBytes, ko.Logger = o.CacheBytes, o.Logger
	db, err := kv.Open(filepath.Join(dir, "index"), kdf.Derive(master[:], kdf.CacheDB), ko)
	if err != nil {
		return nil, errs.E(op, errs.Other, "index", err)
	}
	s := &Store{
		o: o, log: o.Logger, db: db, limit: o.Limit,
		segs: newSegments(o.fault.disk, o.fault.segment), heat: newHeat(), segSums: map[uint32]segSum{}, reports: logfold.New[Class](logfold.Every, nil),
		evicting: make(chan struct{}, 1), closing: make(chan struct{}), poke: make(chan struct{}, 1),
	}
	if o.FS == nil {
		s.heat.load(dir)
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(errs.E(op, errs.Other, "", err), db.Close())
	}
	s.bg.Go(s.background)
	s.wake()
	return s, nil
}

func (o *Options) setDefaults(dir string) {
	if o.Limit <= 0 {
		o.Limit = 10 << 30
	}
	if o.DiskFloor == 0 {
		o.DiskFloor = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.fault.segment == 0 {
		o.fault.segment = segmentSize
	}
	if o.FS != nil {
		o.fault.disk, o.fault.db.FS = fsDisk{o.FS, o.FS.PathJoin(dir, "segments")}, o.FS
	}
	if o.fault.disk == nil {
		o.fault.disk = newOSDisk(filepath.Join(dir, "segments"))
	}
}

// Close makes everything durable and ends the store. Closing twice is harmless.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	close(s.closing)
	s.bg.Wait()
	s.reports.Rest(func(c Class, n int) { s.log.Warn(droppedText, "class", c.String(), "blocks", n) })
	err := s.group.do(context.Background(), s.syncAll)
	s.reclaim()
	if e := s.heat.save(); e != nil {
		s.log.Warn("cache: heat not saved", "err", e)
	}
	if e := s.db.Close(); err == nil {
		err = e
	}
	s.segs.close()
	if err != nil {
		return errs.E("cache.Close", errs.Other, "", err)
	}
	return nil
}

// check is how public methods begin.
func (s *Store) check(ctx context.Context, op string) error {
	if s.closed.Load() {
		return errs.E(op, errs.Closed, "", nil)
	}
	if err := ctx.Err(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	return nil
}

// diskFree is how many bytes the disk has left.
func (s *Store) diskFree() int64 {
	if s.o.fault.free != nil {
		return s.o.fault.free()
	}
	return s.db.DiskFree()
}

// diskFreeLocked is diskFree, as it was a moment ago if there was far more than is needed.
func (s *Store) diskFreeLocked(need int64) int64 {
	if now := time.Now(); s.free < need+freePlenty || now.Sub(s.freeAt) > freeLately {
		s.free, s.freeAt = s.diskFree(), now
	}
	return s.free
}

// A moment, and more than any disk takes in it.
const (
	freeLately = 20 * time.Millisecond
	freePlenty = 1 << 30
)

// Class returns the class of a block.
func (s *Store) Class(d blocks.Digest) (Class, error) {
	r, err := s.readRow(s.db, d)
	if err != nil && !errs.Is(err, errs.Corrupt) {
		return None, errs.E("cache.Class", errs.Other, d.Short(), err)
	}
	return r.class(), nil
}

// Has returns the class of each block, None for those that are not here. It reads the index
// only.
func (s *Store) Has(ds ...blocks.Digest) ([]Class, error) {
	out := make([]Class, len(ds))
	for i, d := range ds {
		c, err := s.Class(d)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

// Size returns the sealed size of a block; NotExist if it is not here.
func (s *Store) Size(d blocks.Digest) (int, error) {
	r, err := s.readRow(s.db, d)
	if err == nil && r.form == formAbsent {
		err = errs.E("cache", errs.NotExist, "", nil)
	}
	if err != nil {
		return 0, errs.E("cache.Size", errs.Other, d.Short(), err)
	}
	return int(r.size), nil
}
