package kv

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/shelffs/shelf/internal/errs"
)

// Verify opens the store in dir, which nobody else may have open, and reads every row of it until
// ctx ends, which is no error: what was read by then is whole. It changes nothing. Errors: those of
// Open with ReadOnly; Corrupt, too, for what fails its sum or its seal.
func Verify(ctx context.Context, dir string, master [32]byte, o Options) error {
	o.ReadOnly = true
	db, err := Open(dir, master, o)
	if err != nil {
		return err
	}
	return errors.Join(db.engine.(*disk).verify(ctx), db.Close())
}

func (d *disk) verify(ctx context.Context) error {
	const op = "kv.Verify"
	it, err := d.p.NewIter(&pebble.IterOptions{LowerBound: []byte{tableOwn + 1}}) // the own rows were read by Open
	if err != nil {
		return readError(op, nil, err)
	}
	var buf []byte
	bad := 0
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		row, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(readError(op, it.Key(), err), it.Close())
		}
		if len(row) == 0 { // a mark
			continue
		}
		if buf, err = d.rows.open(buf[:0], it.Key(), row); err != nil {
			bad++
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return readError(op, nil, err)
	}
	if bad > 0 {
		return errs.E(op, errs.Corrupt, "rows", nil)
	}
	return nil
}
