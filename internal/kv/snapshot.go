package kv

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/shelffs/shelf/internal/errs"
)

// Snapshot reads the store as it was at one moment. It keeps deleted rows on the disk while
// it lives: Close it soon. Closing the store closes its snapshots.
type Snapshot struct {
	db   *DB
	p    *pebble.Snapshot
	once sync.Once
	err  error
}

// Snapshot fixes the present state for reading.
func (db *DB) Snapshot() (*Snapshot, error) {
	if !db.gate.enter() {
		return nil, errs.E("kv.Snapshot", errs.Closed, "", nil)
	}
	defer db.gate.leave()
	s := &Snapshot{db: db, p: db.p.NewSnapshot()}
	db.snaps.Store(s, struct{}{})
	return s, nil
}

// Get implements Reader.
func (s *Snapshot) Get(k Key) ([]byte, error) { return s.db.get(s.p, nil, k) }

// GetAppend implements Reader.
func (s *Snapshot) GetAppend(dst []byte, k Key) ([]byte, error) { return s.db.get(s.p, dst, k) }

// Has implements Reader.
func (s *Snapshot) Has(k Key) (bool, error) { return s.db.has(s.p, k) }

// Scan implements Reader.
func (s *Snapshot) Scan(prefix Key, fn func(Key, []byte) bool) error {
	return s.db.scan(s.p, Range{Prefix: prefix}, fn)
}

// ScanKeys implements Reader.
func (s *Snapshot) ScanKeys(prefix Key, fn func(Key) bool) error {
	return s.db.scan(s.p, Range{Prefix: prefix, KeysOnly: true}, func(k Key, _ []byte) bool { return fn(k) })
}

// ScanRange implements Reader.
func (s *Snapshot) ScanRange(r Range, fn func(Key, []byte) bool) error {
	return s.db.scan(s.p, r, fn)
}

// Close ends the snapshot; it must not be read any more. Closing twice is harmless.
func (s *Snapshot) Close() error {
	if !s.db.gate.enter() {
		return nil // the store's Close has done it or will
	}
	defer s.db.gate.leave()
	return s.close()
}

func (s *Snapshot) close() error {
	s.once.Do(func() {
		s.db.snaps.Delete(s)
		s.err = s.p.Close()
	})
	return s.err
}
