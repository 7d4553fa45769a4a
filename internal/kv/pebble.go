package kv

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/shelffs/shelf/internal/errs"
)

// disk is the engine on a disk: sealed rows in Pebble.
type disk struct {
	pebbleReader
	p     *pebble.DB
	lock  *pebble.Lock
	log   *slog.Logger
	rows  *rowSealer
	guard *guard

	rested   chan struct{} // closed when rest has ended
	readOnly bool
	commits  atomic.Uint64
	synced   atomic.Uint64 // all commits up to this count are durable
	corrupt  atomic.Int64
}

func (d *disk) metrics() Metrics {
	return Metrics{CorruptRows: d.corrupt.Load(), Full: d.guard.full.Load(), Failed: d.guard.failure()}
}

func (d *disk) size() int64 { return int64(d.p.Metrics().DiskSpaceUsage()) }

func (d *disk) free() int64 { return d.guard.avail() }

func (d *disk) sync(op string) error {
	target := d.commits.Load()
	if d.readOnly || (d.synced.Load() >= target && d.guard.failure() == nil) {
		return nil
	}
	if err := d.guard.failure(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if err := d.p.LogData(nil, pebble.Sync); err != nil {
		return errs.FromOS(op, "", err)
	}
	if err := d.guard.failure(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	raise(&d.synced, target)
	return nil
}

// raise sets a to at least n.
func raise(a *atomic.Uint64, n uint64) {
	for old := a.Load(); old < n && !a.CompareAndSwap(old, n); old = a.Load() {
	}
}

func (d *disk) stop() { close(d.guard.closing) }

func (d *disk) close() error {
	<-d.rested
	var err error
	if !d.readOnly && d.synced.Load() < d.commits.Load() && d.guard.failure() == nil {
		err = d.p.LogData(nil, pebble.Sync)
	}
	if e := d.p.Close(); err == nil {
		err = e
	}
	if e := d.lock.Close(); err == nil {
		err = e
	}
	if e := d.guard.failure(); e != nil {
		err = e
	}
	if err != nil {
		return errs.FromOS("kv.Close", "", err)
	}
	return nil
}

func (d *disk) corruptRow(k Key) {
	d.corrupt.Add(1)
	d.log.Warn("kv: a row failed its check", "table", tableName(k))
}

// source is the part of Pebble that reads: its DB, Snapshot or indexed Batch.
type source interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
}

// pebbleReader opens sealed rows.
type pebbleReader struct {
	d   *disk
	src source
}

func (r pebbleReader) get(dst []byte, k Key) ([]byte, error) {
	row, closer, err := r.src.Get(k)
	if err != nil {
		return nil, readError("kv.Get", k, err)
	}
	out, err := r.d.rows.open(dst, k, row)
	_ = closer.Close()
	if err != nil {
		r.d.corruptRow(k)
	}
	return out, err
}

func (r pebbleReader) has(k Key) (bool, error) {
	_, closer, err := r.src.Get(k)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return false, nil
	case err != nil:
		return false, readError("kv.Has", k, err)
	}
	_ = closer.Close()
	return true, nil
}

func (r pebbleReader) scan(rg Range, fn func(Key, []byte) bool) error {
	lower, upper := rg.bounds()
	it, err := r.src.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return readError("kv.Scan", rg.Prefix, err)
	}
	bad, err := r.d.scanRows(it, rg, fn)
	err = errors.Join(err, it.Close())
	if err != nil {
		return readError("kv.Scan", rg.Prefix, err)
	}
	return badRows(rg, bad)
}

// badRows is the error of a scan that left rows out.
func badRows(rg Range, bad int) error {
	if bad == 0 {
		return nil
	}
	return errs.E("kv.Scan", errs.Corrupt, fmt.Sprintf("%s: %d rows", tableName(rg.Prefix), bad), nil)
}

// scanRows drives the iterator; bad counts rows left out.
func (d *disk) scanRows(it *pebble.Iterator, r Range, fn func(Key, []byte) bool) (bad int, err error) {
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
		v, err := d.rows.open(buf[:0], it.Key(), row)
		if err != nil {
			d.corruptRow(it.Key())
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

// readError gives an error of Pebble its kind.
func readError(op string, k Key, err error) error {
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return errs.E(op, errs.NotExist, "row", nil) // often met, and so without more
	case pebble.IsCorruptionError(err):
		return errs.E(op, errs.Corrupt, tableName(k), err)
	}
	return errs.FromOS(op, tableName(k), err)
}

type pebbleSnapshot struct {
	pebbleReader
	p *pebble.Snapshot
}

func (d *disk) snapshot() engineSnapshot {
	p := d.p.NewSnapshot()
	return &pebbleSnapshot{pebbleReader{d, p}, p}
}

func (s *pebbleSnapshot) close() error { return s.p.Close() }

type pebbleBatch struct {
	d    *disk
	p    *pebble.Batch
	sets int
}

func (d *disk) batch() engineBatch {
	return &pebbleBatch{d: d, p: d.p.NewBatch()}
}

// index makes the batch one that can be read, which few are.
func (b *pebbleBatch) index() (pebbleReader, error) {
	if !b.p.Indexed() {
		p := b.d.p.NewIndexedBatch()
		if err := p.Apply(b.p, nil); err != nil {
			_ = p.Close()
			return pebbleReader{}, errs.E("kv.Batch", errs.Other, "", err)
		}
		_ = b.p.Close()
		b.p = p
	}
	return pebbleReader{b.d, b.p}, nil
}

func (b *pebbleBatch) get(dst []byte, k Key) ([]byte, error) {
	r, err := b.index()
	if err != nil {
		return nil, err
	}
	return r.get(dst, k)
}

func (b *pebbleBatch) has(k Key) (bool, error) {
	r, err := b.index()
	if err != nil {
		return false, err
	}
	return r.has(k)
}

func (b *pebbleBatch) pick(keys []Key, fn func(int, []byte) bool) error {
	r, err := b.index()
	if err != nil {
		return err
	}
	return r.pick(keys, fn)
}

func (b *pebbleBatch) each(prefixes []Key, fn func(int, Key) bool) error {
	r, err := b.index()
	if err != nil {
		return err
	}
	return r.each(prefixes, fn)
}

func (b *pebbleBatch) scan(rg Range, fn func(Key, []byte) bool) error {
	r, err := b.index()
	if err != nil {
		return err
	}
	return r.scan(rg, fn)
}

func (b *pebbleBatch) set(k Key, value []byte) error {
	s := b.p.SetDeferred(len(k), len(value)+rowOverhead)
	copy(s.Key, k)
	b.d.rows.seal(s.Value, k, value)
	b.sets++
	return s.Finish()
}

func (b *pebbleBatch) mark(k Key) error {
	b.sets++
	return b.p.Set(k, nil, nil)
}

func (b *pebbleBatch) delete(k Key) error             { return b.p.Delete(k, nil) }
func (b *pebbleBatch) deleteRange(from, to Key) error { return b.p.DeleteRange(from, to, nil) }
func (b *pebbleBatch) len() int                       { return b.p.Len() }
func (b *pebbleBatch) empty() bool                    { return b.p.Count() == 0 }
func (b *pebbleBatch) close() error                   { return b.p.Close() }

func (b *pebbleBatch) commit(op string, dur Durability, reclaims bool) error {
	d := b.d
	if d.readOnly {
		return errs.E(op, errs.ReadOnly, "", nil)
	}
	if b.empty() {
		if dur == Sync {
			return d.sync(op)
		}
		return nil
	}
	if err := d.guard.admit(op, b.sets == 0 || reclaims, b.p.Len()); err != nil {
		return err
	}
	seen := d.commits.Load()
	err := d.p.Apply(b.p, &pebble.WriteOptions{Sync: bool(dur)})
	d.commits.Add(1)
	if err != nil {
		return errs.FromOS(op, "", err)
	}
	if err := d.guard.failure(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if dur == Sync {
		raise(&d.synced, seen)
	}
	return nil
}
