package kv

import (
	"github.com/shelffs/shelf/internal/errs"
)

// Durability says when a commit returns.
type Durability bool

const (
	NoSync Durability = false // visible; durable after the next Sync
	Sync   Durability = true  // durable, and all commits before it
)

// Batch collects changes that become visible and durable together or not at all. Reads
// through it see its own changes over the store's present state. One goroutine at a time.
// Commit or Close must end it.
type Batch struct {
	db      *DB
	e       engineBatch // nil: ended
	err     error       // the first refused change: the commit reports it
	reclaim bool
}

// maxBatch bounds what a batch holds before one more row is refused, in bytes.
const maxBatch = 256 << 20

// Batch begins an empty batch.
func (db *DB) Batch() *Batch { return &Batch{db: db, e: db.engine.batch()} }

// Reclaims marks a batch that exists to free space: it passes where the disk is nearly full
// and other changes are refused. Batches that only delete pass anyway.
func (b *Batch) Reclaims() { b.reclaim = true }

// Set writes a row.
func (b *Batch) Set(k Key, value []byte) error {
	const op = "kv.Set"
	if err := b.check(op, k); err != nil {
		return err
	}
	if len(value) > maxValue || b.e.len() > maxBatch {
		return b.refuse(errs.E(op, errs.TooLarge, tableName(k), nil))
	}
	if err := b.e.set(k, value); err != nil {
		return b.refuse(errs.E(op, errs.Other, tableName(k), err))
	}
	return nil
}

// Mark writes a row that is nothing but its key, whose presence is all that it says. It has no
// value and no seal: reading the value, or scanning without KeysOnly, answers as for a row whose
// seal does not hold. Whoever can write to the disk can make one, so what a mark leads to has to
// be checked there.
func (b *Batch) Mark(k Key) error {
	const op = "kv.Mark"
	if err := b.check(op, k); err != nil {
		return err
	}
	if b.e.len() > maxBatch {
		return b.refuse(errs.E(op, errs.TooLarge, tableName(k), nil))
	}
	if err := b.e.mark(k); err != nil {
		return b.refuse(errs.E(op, errs.Other, tableName(k), err))
	}
	return nil
}

// Delete removes a row; that it does not exist is no error.
func (b *Batch) Delete(k Key) error {
	const op = "kv.Delete"
	if err := b.check(op, k); err != nil {
		return err
	}
	if err := b.e.delete(k); err != nil {
		return b.refuse(errs.E(op, errs.Other, tableName(k), err))
	}
	return nil
}

// DeletePrefix removes all rows that begin with prefix, which names at least a table.
func (b *Batch) DeletePrefix(prefix Key) error {
	const op = "kv.DeletePrefix"
	if err := b.check(op, prefix); err != nil {
		return err
	}
	end := successor(prefix)
	if end == nil { // a prefix of 0xff only: no caller's table is 0xff
		return b.refuse(errs.E(op, errs.Invalid, tableName(prefix), nil))
	}
	if err := b.e.deleteRange(prefix, end); err != nil {
		return b.refuse(errs.E(op, errs.Other, tableName(prefix), err))
	}
	return nil
}

// Len is the number of bytes that the batch will write.
func (b *Batch) Len() int {
	if b.e == nil {
		return 0
	}
	return b.e.len()
}

// Empty reports whether the batch changes nothing.
func (b *Batch) Empty() bool { return b.e == nil || b.e.empty() }

// Commit applies the batch and ends it. If any change was refused, nothing is applied and
// the first refusal returned. NoSpace: the disk is full, nothing was applied. After an error
// of another kind than Closed, Invalid, TooLarge, ReadOnly or NoSpace the store takes no
// further writes until it is opened again, and whether this batch survives is decided then.
func (b *Batch) Commit(d Durability) error {
	const op = "kv.Commit"
	if b.e == nil {
		return errs.E(op, errs.Closed, "batch", b.err)
	}
	defer b.discard()
	if b.err != nil {
		return b.err
	}
	if !b.db.gate.enter() {
		return errs.E(op, errs.Closed, "", nil)
	}
	defer b.db.gate.leave()
	return b.e.commit(op, d, b.reclaim)
}

// Close ends the batch without applying it. After Commit it does nothing.
func (b *Batch) Close() {
	if b.e != nil {
		b.discard()
	}
}

func (b *Batch) discard() {
	_ = b.e.close()
	b.e = nil
}

func (b *Batch) check(op string, k Key) error {
	if b.e == nil {
		return errs.E(op, errs.Closed, "batch", nil)
	}
	if err := checkKey(op, k); err != nil {
		return b.refuse(err)
	}
	return nil
}

// refuse remembers the first error, so that a caller may check Commit alone.
func (b *Batch) refuse(err error) error {
	if b.err == nil {
		b.err = err
	}
	return err
}

// Get implements Reader.
func (b *Batch) Get(k Key) ([]byte, error) { return b.GetAppend(nil, k) }

// GetAppend implements Reader.
func (b *Batch) GetAppend(dst []byte, k Key) ([]byte, error) {
	if b.e == nil {
		return nil, errs.E("kv.Get", errs.Closed, "batch", nil)
	}
	return b.db.get(b.e, dst, k)
}

// Has implements Reader.
func (b *Batch) Has(k Key) (bool, error) {
	if b.e == nil {
		return false, errs.E("kv.Has", errs.Closed, "batch", nil)
	}
	return b.db.has(b.e, k)
}

// Pick implements Reader.
func (b *Batch) Pick(keys []Key, fn func(i int, value []byte) bool) error {
	if b.e == nil {
		return errs.E("kv.Pick", errs.Closed, "batch", nil)
	}
	return b.db.pick(b.e, keys, fn)
}

// Each implements Reader.
func (b *Batch) Each(prefixes []Key, fn func(i int, k Key) bool) error {
	if b.e == nil {
		return errs.E("kv.Each", errs.Closed, "batch", nil)
	}
	return b.db.each(b.e, prefixes, fn)
}

// Scan implements Reader. Changes made by fn to the batch may or may not be seen.
func (b *Batch) Scan(prefix Key, fn func(Key, []byte) bool) error {
	return b.ScanRange(Range{Prefix: prefix}, fn)
}

// ScanKeys implements Reader.
func (b *Batch) ScanKeys(prefix Key, fn func(Key) bool) error {
	return b.ScanRange(Range{Prefix: prefix, KeysOnly: true}, func(k Key, _ []byte) bool { return fn(k) })
}

// ScanRange implements Reader.
func (b *Batch) ScanRange(r Range, fn func(Key, []byte) bool) error {
	if b.e == nil {
		return errs.E("kv.Scan", errs.Closed, "batch", nil)
	}
	return b.db.scan(b.e, r, fn)
}
