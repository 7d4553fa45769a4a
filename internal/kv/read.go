package kv

import (
	"bytes"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
)

// Reader is what DB, Snapshot and Batch have in common.
type Reader interface {
	// Get returns the value of a row, in memory that the caller owns. NotExist: no such
	// row. Corrupt: its seal does not hold.
	Get(k Key) ([]byte, error)
	// GetAppend is Get, appending to dst.
	GetAppend(dst []byte, k Key) ([]byte, error)
	// Has reports whether the row exists; its seal is not checked.
	Has(k Key) (bool, error)
	// Pick calls fn for those of keys, sorted, that have a row, until fn returns false; i is the
	// place of the key. For many rows that lie close together it costs a fraction of as many
	// Gets. Values are valid during the call only. A row whose seal does not hold ends it:
	// Corrupt.
	Pick(keys []Key, fn func(i int, value []byte) bool) error
	// Each calls fn with the keys that begin with one of prefixes, which are sorted and none of which
	// begins another; i is its place. After fn returned false the next prefix is looked at. For many
	// prefixes with few rows it costs a fraction of as many scans. Seals are not checked.
	Each(prefixes []Key, fn func(i int, k Key) bool) error
	// Scan is ScanRange over all rows whose key begins with prefix.
	Scan(prefix Key, fn func(k Key, value []byte) bool) error
	// ScanKeys is Scan without reading values (fn gets keys only; seals are not checked).
	ScanKeys(prefix Key, fn func(k Key) bool) error
	// ScanRange calls fn for the rows of r in order until fn returns false. Keys and values
	// are valid during the call only. Rows whose seal does not hold are left out, the
	// others still delivered, and the scan ends with a Corrupt error.
	ScanRange(r Range, fn func(k Key, value []byte) bool) error
}

// Range says which rows a scan visits.
type Range struct {
	Prefix   Key  // all rows that begin with this
	From     Key  // if set, start here: the first row ≥ From (Reverse: the last row ≤ From)
	After    bool // leave out From itself
	Reverse  bool // from the end to the beginning
	KeysOnly bool // fn gets a nil value; seals are not checked
}

var (
	_ Reader = (*DB)(nil)
	_ Reader = (*Snapshot)(nil)
	_ Reader = (*Batch)(nil)
)

func (db *DB) get(src rowReader, dst []byte, k Key) ([]byte, error) {
	if !db.gate.enter() {
		return nil, errs.E("kv.Get", errs.Closed, "", nil)
	}
	defer db.gate.leave()
	return src.get(dst, k)
}

func (db *DB) has(src rowReader, k Key) (bool, error) {
	if !db.gate.enter() {
		return false, errs.E("kv.Has", errs.Closed, "", nil)
	}
	defer db.gate.leave()
	return src.has(k)
}

func (db *DB) pick(src rowReader, keys []Key, fn func(int, []byte) bool) error {
	const op = "kv.Pick"
	if len(keys) == 0 {
		return nil
	}
	if !slices.IsSortedFunc(keys, func(a, b Key) int { return bytes.Compare(a, b) }) {
		return errs.E(op, errs.Invalid, tableName(keys[0]), nil)
	}
	if !db.gate.enter() {
		return errs.E(op, errs.Closed, "", nil)
	}
	defer db.gate.leave()
	return src.pick(keys, fn)
}

func (db *DB) each(src rowReader, prefixes []Key, fn func(int, Key) bool) error {
	const op = "kv.Each"
	if len(prefixes) == 0 {
		return nil
	}
	for i, p := range prefixes {
		if len(p) == 0 || p[0] == tableOwn || i > 0 && (bytes.Compare(prefixes[i-1], p) >= 0 || bytes.HasPrefix(p, prefixes[i-1])) {
			return errs.E(op, errs.Invalid, tableName(p), nil)
		}
	}
	if !db.gate.enter() {
		return errs.E(op, errs.Closed, "", nil)
	}
	defer db.gate.leave()
	return src.each(prefixes, fn)
}

func (db *DB) scan(src rowReader, r Range, fn func(Key, []byte) bool) error {
	if len(r.Prefix) == 0 || r.Prefix[0] == tableOwn {
		return errs.E("kv.Scan", errs.Invalid, tableName(r.Prefix), nil)
	}
	if !db.gate.enter() {
		return errs.E("kv.Scan", errs.Closed, "", nil)
	}
	defer db.gate.leave()
	return src.scan(r, fn)
}

// bounds turns a range into a half-open interval; no upper bound: the end of the store.
func (r Range) bounds() (lower, upper Key) {
	lower, upper = r.Prefix, successor(r.Prefix)
	if len(r.From) == 0 {
		return lower, upper
	}
	next := append(r.From.Clone(), 0) // the smallest key greater than From
	first, end := r.From, next
	if r.After {
		first, end = next, r.From
	}
	if r.Reverse {
		if upper == nil || string(end) < string(upper) {
			upper = end
		}
	} else if string(first) > string(lower) {
		lower = first
	}
	return lower, upper
}

// Get implements Reader.
func (db *DB) Get(k Key) ([]byte, error) { return db.get(db.engine, nil, k) }

// GetAppend implements Reader.
func (db *DB) GetAppend(dst []byte, k Key) ([]byte, error) { return db.get(db.engine, dst, k) }

// Has implements Reader.
func (db *DB) Has(k Key) (bool, error) { return db.has(db.engine, k) }

// Pick implements Reader.
func (db *DB) Pick(keys []Key, fn func(i int, value []byte) bool) error {
	return db.pick(db.engine, keys, fn)
}

// Each implements Reader.
func (db *DB) Each(prefixes []Key, fn func(i int, k Key) bool) error {
	return db.each(db.engine, prefixes, fn)
}

// Scan implements Reader.
func (db *DB) Scan(prefix Key, fn func(Key, []byte) bool) error {
	return db.scan(db.engine, Range{Prefix: prefix}, fn)
}

// ScanKeys implements Reader.
func (db *DB) ScanKeys(prefix Key, fn func(Key) bool) error {
	return db.scan(db.engine, Range{Prefix: prefix, KeysOnly: true}, func(k Key, _ []byte) bool { return fn(k) })
}

// ScanRange implements Reader.
func (db *DB) ScanRange(r Range, fn func(Key, []byte) bool) error { return db.scan(db.engine, r, fn) }
