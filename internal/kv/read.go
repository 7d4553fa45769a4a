package kv

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

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

// source is the part of Pebble that reads: its DB, Snapshot or indexed Batch.
type source interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
}

func (db *DB) get(src source, dst []byte, k Key) ([]byte, error) {
	if !db.gate.enter() {
		return nil, errs.E("kv.Get", errs.Closed, "", nil)
	}
	defer db.gate.leave()
	row, closer, err := src.Get(k)
	if err != nil {
		return nil, db.readError("kv.Get", k, err)
	}
	out, err := db.rows.open(dst, k, row)
	_ = closer.Close()
	if err != nil {
		db.corruptRow(k)
	}
	return out, err
}

func (db *DB) has(src source, k Key) (bool, error) {
	if !db.gate.enter() {
		return false, errs.E("kv.Has", errs.Closed, "", nil)
	}
	defer db.gate.leave()
	_, closer, err := src.Get(k)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return false, nil
	case err != nil:
		return false, db.readError("kv.Has", k, err)
	}
	_ = closer.Close()
	return true, nil
}

func (db *DB) scan(src source, r Range, fn func(Key, []byte) bool) error {
	if len(r.Prefix) == 0 || r.Prefix[0] == tableOwn {
		return errs.E("kv.Scan", errs.Invalid, tableName(r.Prefix), nil)
	}
	if !db.gate.enter() {
		return errs.E("kv.Scan", errs.Closed, "", nil)
	}
	defer db.gate.leave()
	it, err := src.NewIter(r.bounds())
	if err != nil {
		return db.readError("kv.Scan", r.Prefix, err)
	}
	bad, err := db.scanRows(it, r, fn)
	err = errors.Join(err, it.Close())
	if err != nil {
		return db.readError("kv.Scan", r.Prefix, err)
	}
	if bad > 0 {
		return errs.E("kv.Scan", errs.Corrupt, fmt.Sprintf("%s: %d rows", tableName(r.Prefix), bad), nil)
	}
	return nil
}

// scanRows drives the iterator; bad counts rows left out.
func (db *DB) scanRows(it *pebble.Iterator, r Range, fn func(Key, []byte) bool) (bad int, err error) {
	step, ok := it.Next, false
	if r.Reverse {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	var buf []byte
	for ; ok; ok = step() {
		if r.KeysOnly {
			if !fn(it.Key(), nil) {
				break
			}
			continue
		}
		row, err := it.ValueAndErr()
		if err != nil {
			return bad, err
		}
		v, err := db.rows.open(buf[:0], it.Key(), row)
		if err != nil {
			db.corruptRow(it.Key())
			bad++
			continue
		}
		buf = v
		if !fn(it.Key(), v) {
			break
		}
	}
	return bad, it.Error()
}

// bounds turns a range into Pebble's half-open interval.
func (r Range) bounds() *pebble.IterOptions {
	o := &pebble.IterOptions{LowerBound: r.Prefix, UpperBound: successor(r.Prefix)}
	if len(r.From) == 0 {
		return o
	}
	next := append(r.From.Clone(), 0) // the smallest key greater than From
	lower, upper := r.From, next
	if r.After {
		lower, upper = next, r.From
	}
	if r.Reverse {
		if o.UpperBound == nil || string(upper) < string(o.UpperBound) {
			o.UpperBound = upper
		}
	} else if string(lower) > string(o.LowerBound) {
		o.LowerBound = lower
	}
	return o
}

// readError gives an error of Pebble its kind.
func (db *DB) readError(op string, k Key, err error) error {
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return errs.E(op, errs.NotExist, tableName(k), nil)
	case pebble.IsCorruptionError(err):
		return errs.E(op, errs.Corrupt, tableName(k), err)
	}
	return errs.E(op, diskKind(err), tableName(k), err)
}

// Get implements Reader.
func (db *DB) Get(k Key) ([]byte, error) { return db.get(db.p, nil, k) }

// GetAppend implements Reader.
func (db *DB) GetAppend(dst []byte, k Key) ([]byte, error) { return db.get(db.p, dst, k) }

// Has implements Reader.
func (db *DB) Has(k Key) (bool, error) { return db.has(db.p, k) }

// Scan implements Reader.
func (db *DB) Scan(prefix Key, fn func(Key, []byte) bool) error {
	return db.scan(db.p, Range{Prefix: prefix}, fn)
}

// ScanKeys implements Reader.
func (db *DB) ScanKeys(prefix Key, fn func(Key) bool) error {
	return db.scan(db.p, Range{Prefix: prefix, KeysOnly: true}, func(k Key, _ []byte) bool { return fn(k) })
}

// ScanRange implements Reader.
func (db *DB) ScanRange(r Range, fn func(Key, []byte) bool) error { return db.scan(db.p, r, fn) }
