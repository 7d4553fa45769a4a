package kv

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/shelffs/shelf/internal/errs"
)

// pickSteps is how many rows are walked over on the way to the next wanted one before a seek,
// which looks into all levels, is worth it.
const pickSteps = 32

// pick walks over the rows with one iterator: a Get would look for each key anew in all levels.
func (r pebbleReader) pick(keys []Key, fn func(int, []byte) bool) error {
	first, last := keys[0], keys[len(keys)-1]
	it, err := r.src.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: append(last.Clone(), 0)})
	if err != nil {
		return readError("kv.Pick", first, err)
	}
	k, err := r.d.pickRows(it, keys, fn)
	err = errors.Join(err, it.Close())
	switch {
	case errs.Is(err, errs.Corrupt):
		r.d.corruptRow(k)
		return err
	case err != nil:
		return readError("kv.Pick", first, err)
	}
	return nil
}

// pickRows drives the iterator; with an error it returns the key at which it was met.
func (d *disk) pickRows(it *pebble.Iterator, keys []Key, fn func(int, []byte) bool) (Key, error) {
	var buf []byte
	ok, steps := it.First(), pickSteps
	for i, k := range keys {
		n := 0
		for ; ok && bytes.Compare(it.Key(), k) < 0; n++ {
			if n < steps {
				ok = it.Next()
			} else {
				ok = it.SeekGE(k)
			}
		}
		if n > steps { // the rows lie far apart
			steps = max(steps/2, 2)
		} else if n > 0 {
			steps = pickSteps
		}
		if !ok {
			break
		}
		if !bytes.Equal(it.Key(), k) {
			continue
		}
		row, err := it.ValueAndErr()
		if err != nil {
			return k, err
		}
		if buf, err = d.rows.open(buf[:0], k, row); err != nil {
			return k, err
		}
		if !fn(i, buf) {
			break
		}
	}
	return nil, it.Error()
}

// each walks over the rows with one iterator.
func (r pebbleReader) each(prefixes []Key, fn func(int, Key) bool) error {
	first, last := prefixes[0], prefixes[len(prefixes)-1]
	it, err := r.src.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: successor(last)})
	if err != nil {
		return readError("kv.Each", first, err)
	}
	eachKey(it, prefixes, fn)
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return readError("kv.Each", first, err)
	}
	return nil
}

// eachKey drives the iterator, which has its error. Beyond a prefix it does not look: there may be
// many deleted rows up to the next one.
func eachKey(it *pebble.Iterator, prefixes []Key, fn func(int, Key) bool) {
	for i, p := range prefixes {
		end := successor(p)
		for at := it.SeekGEWithLimit(p, end); at == pebble.IterValid && bytes.HasPrefix(it.Key(), p); at = it.NextWithLimit(end) {
			if !fn(i, it.Key()) {
				break
			}
		}
	}
}
