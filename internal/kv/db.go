package kv

import (
	"log/slog"
	"sync"
	"time"

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
	Ballast    int64        // bytes kept back for the moment when the disk is full; 0: 32 MiB, < 0: none

	memTable  int64         // bytes of rows in memory before they go to a table; less in tests
	restAfter time.Duration // without commits, a store comes to rest; less in tests
}

// DB is an open store. All methods may be called by any number of goroutines.
type DB struct {
	engine engine
	gate   *gate
	keys   *keyer
	snaps  sync.Map // *Snapshot → struct{}
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
	m := db.engine.metrics()
	if db.gate.enter() {
		m.DiskBytes = db.engine.size()
		db.gate.leave()
	}
	return m
}

// DiskFree is how many bytes the disk below the store has free for this user; very many where
// the system cannot say.
func (db *DB) DiskFree() int64 { return db.engine.free() }

// Sync makes every commit that returned before the call durable. Concurrent calls share an
// fsync; without commits since the last one it costs nothing.
func (db *DB) Sync() error {
	const op = "kv.Sync"
	if !db.gate.enter() {
		return errs.E(op, errs.Closed, "", nil)
	}
	defer db.gate.leave()
	return db.engine.sync(op)
}

// Close makes everything durable and ends the store; it waits for calls in progress. Closing
// twice is harmless.
func (db *DB) Close() error {
	if !db.gate.shut() {
		return nil
	}
	db.engine.stop()
	db.gate.drain()
	db.snaps.Range(func(s, _ any) bool {
		_ = s.(*Snapshot).close()
		return true
	})
	return db.engine.close()
}
