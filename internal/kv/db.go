package kv

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/errs"
)

// FS is the disk below a store; tests give one that crashes or fails.
type FS = vfs.FS

// Options of Open; the zero value is usable.
type Options struct {
	CacheBytes int64        // memory for blocks of rows; 0: 32 MiB
	Logger     *slog.Logger // nil: silent
	FS         FS           // nil: the machine's
	ReadOnly   bool         // writes answer ReadOnly
	FreeFloor  int64        // writes answer NoSpace while the disk has less free, in bytes; 0: 32 MiB, < 0: none
	Ballast    int64        // bytes kept back for the moment when the disk is full; 0: 16 MiB, < 0: none

	memTable int64 // bytes of rows in memory before they go to a table; less in tests
}

// DB is an open store. All methods may be called by any number of goroutines.
type DB struct {
	p     *pebble.DB
	lock  *pebble.Lock
	log   *slog.Logger
	gate  *gate
	keys  *keyer
	rows  *rowSealer
	guard *guard

	readOnly bool
	snaps    sync.Map // *Snapshot → struct{}
	commits  atomic.Uint64
	synced   atomic.Uint64 // all commits up to this count are durable
	corrupt  atomic.Int64
}

// Metrics are figures for status and tests.
type Metrics struct {
	DiskBytes   int64 // files of the store, ballast excluded
	CorruptRows int64 // reads since Open that met a row whose seal does not hold
	Full        bool  // writes are refused until the disk has room again
	Failed      error // not nil: the disk failed, no writes until the store is opened again
}

// Metrics returns the present figures.
func (db *DB) Metrics() Metrics {
	m := Metrics{CorruptRows: db.corrupt.Load(), Full: db.guard.full.Load(), Failed: db.guard.failure()}
	if db.gate.enter() {
		m.DiskBytes = int64(db.p.Metrics().DiskSpaceUsage())
		db.gate.leave()
	}
	return m
}

// DiskFree is how many bytes the disk below the store has free for this user; very many where
// the system cannot say.
func (db *DB) DiskFree() int64 { return db.guard.avail() }

// apply commits a batch; the caller is inside the gate.
func (db *DB) apply(op string, b *Batch, d Durability) error {
	if db.readOnly {
		return errs.E(op, errs.ReadOnly, "", nil)
	}
	if b.Empty() {
		if d == Sync {
			return db.sync(op)
		}
		return nil
	}
	if err := db.guard.admit(op, b.sets == 0 || b.reclaim, b.p.Len()); err != nil {
		return err
	}
	seen := db.commits.Load()
	err := db.p.Apply(b.p, &pebble.WriteOptions{Sync: bool(d)})
	db.commits.Add(1)
	if err != nil {
		return errs.E(op, diskKind(err), "", err)
	}
	if err := db.guard.failure(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if d == Sync {
		raise(&db.synced, seen)
	}
	return nil
}

// Sync makes every commit that returned before the call durable. Concurrent calls share an
// fsync; without commits since the last one it costs nothing.
func (db *DB) Sync() error {
	const op = "kv.Sync"
	if !db.gate.enter() {
		return errs.E(op, errs.Closed, "", nil)
	}
	defer db.gate.leave()
	return db.sync(op)
}

func (db *DB) sync(op string) error {
	target := db.commits.Load()
	if db.readOnly || (db.synced.Load() >= target && db.guard.failure() == nil) {
		return nil
	}
	if err := db.guard.failure(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if err := db.p.LogData(nil, pebble.Sync); err != nil {
		return errs.E(op, diskKind(err), "", err)
	}
	if err := db.guard.failure(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	raise(&db.synced, target)
	return nil
}

// raise sets a to at least n.
func raise(a *atomic.Uint64, n uint64) {
	for old := a.Load(); old < n && !a.CompareAndSwap(old, n); old = a.Load() {
	}
}

func (db *DB) corruptRow(k Key) {
	db.corrupt.Add(1)
	db.log.Warn("kv: a row failed its check", "table", tableName(k))
}

// Close makes everything durable and ends the store; it waits for calls in progress. Closing
// twice is harmless.
func (db *DB) Close() error {
	if !db.gate.shut() {
		return nil
	}
	close(db.guard.closing) // wakes writers that wait for the disk
	db.gate.drain()
	db.snaps.Range(func(s, _ any) bool {
		_ = s.(*Snapshot).close()
		return true
	})
	var err error
	if !db.readOnly && db.synced.Load() < db.commits.Load() && db.guard.failure() == nil {
		err = db.p.LogData(nil, pebble.Sync)
	}
	if e := db.p.Close(); err == nil {
		err = e
	}
	if e := db.lock.Close(); err == nil {
		err = e
	}
	if e := db.guard.failure(); e != nil {
		err = e
	}
	if err != nil {
		return errs.E("kv.Close", diskKind(err), "", err)
	}
	return nil
}
