package kv

import (
	"sync"

	"github.com/shelffs/shelf/internal/errs"
)

// Snapshot reads the store as it was at one moment. It keeps deleted rows on the disk while
// it lives: Close it soon. Closing the store closes its snapshots.
type Snapshot struct {
	db   *DB
	e    engineSnapshot
	once sync.Once
	err  error
}

// Snapshot fixes the present state for reading.
func (db *DB) Snapshot() (*Snapshot, error) {
	if !db.gate.enter() {
		return nil, errs.E("kv.Snapshot", errs.Closed, "", nil)
	}
	defer db.gate.leave()
	s := &Snapshot{db: db, e: db.engine.snapshot()}
	db.snaps.Store(s, struct{}{})
	return s, nil
}

// Get implements Reader.
func (s *Snapshot) Get(k Key) ([]byte, error) { return s.db.get(s.e, nil, k) }

// GetAppend implements Reader.
func (s *Snapshot) GetAppend(dst []byte, k Key) ([]byte, error) { return s.db.get(s.e, dst, k) }

// Has implements Reader.
func (s *Snapshot) Has(k Key) (bool, error) { return s.db.has(s.e, k) }

// Pick implements Reader.
func (s *Snapshot) Pick(keys []Key, fn func(i int, value []byte) bool) error {
	return s.db.pick(s.e, keys, fn)
}

// Each implements Reader.
func (s *Snapshot) Each(prefixes []Key, fn func(i int, k Key) bool) error {
	return s.db.each(s.e, prefixes, fn)
}

// Scan implements Reader.
func (s *Snapshot) Scan(prefix Key, fn func(Key, []byte) bool) error {
	return s.db.scan(s.e, Range{Prefix: prefix}, fn)
}

// ScanKeys implements Reader.
func (s *Snapshot) ScanKeys(prefix Key, fn func(Key) bool) error {
	return s.db.scan(s.e, Range{Prefix: prefix, KeysOnly: true}, func(k Key, _ []byte) bool { return fn(k) })
}

// ScanRange implements Reader.
func (s *Snapshot) ScanRange(r Range, fn func(Key, []byte) bool) error {
	return s.db.scan(s.e, r, fn)
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
		s.err = s.e.close()
	})
	return s.err
}
