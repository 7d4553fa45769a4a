package cache

import (
	"context"
	"errors"
	"io"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// GetBlock implements blocks.Getter. NotExist: not here, or here but damaged; damage is
// counted, reported through Options.OnCorrupt, and the copy dropped.
func (s *Store) GetBlock(ctx context.Context, d blocks.Digest) (blocks.Sealed, error) {
	return s.GetBlockIn(ctx, d, fresh)
}

// GetBlockInto is GetBlock into a buffer of the caller's, which is used where it is large
// enough: the sealed size and 40 bytes.
func (s *Store) GetBlockInto(ctx context.Context, d blocks.Digest, buf []byte) (blocks.Sealed, error) {
	return s.GetBlockIn(ctx, d, within(buf))
}

// room gives memory for n bytes, of length 0.
type room = func(n int) []byte

func fresh(n int) []byte { return make([]byte, 0, n) }

// within is the room that a buffer has; more than that is fresh.
func within(buf []byte) room {
	return func(n int) []byte {
		if cap(buf) < n {
			return fresh(n)
		}
		return buf[:0]
	}
}

// GetBlockIn is GetBlock into memory of the caller's choice: the block ends where that ends. It may be asked for twice;
// what was given last is used.
func (s *Store) GetBlockIn(ctx context.Context, d blocks.Digest, into room) (blocks.Sealed, error) {
	const op = "cache.GetBlock"
	if err := s.check(ctx, op); err != nil {
		return blocks.Sealed{}, err
	}
	b, err := s.get(d, into, !s.o.TrustDisk)
	if err != nil {
		return blocks.Sealed{}, errs.E(op, errs.Other, d.Short(), err)
	}
	s.heat.touch(d)
	return b, nil
}

// Expect reports whether a block is here, and spares it for a round of eviction: somebody who reads in
// order will come to it soon. What is not here yet is not spared: who reads ahead holds it.
func (s *Store) Expect(d blocks.Digest) bool {
	c, err := s.Class(d)
	if err != nil || c == None {
		return false
	}
	s.heat.touch(d)
	return true
}

func (s *Store) get(d blocks.Digest, into room, verify bool) (b blocks.Sealed, err error) {
	err = s.reading(d, func(r row) (err error) {
		b, err = s.read(d, r, into, verify)
		return err
	})
	return b, err
}

// reading has a block read by read, which fails with Corrupt where it finds something else. A row can change while
// its block is read (evicted, moved): then what was read is judged by the new row.
func (s *Store) reading(d blocks.Digest, read func(row) error) error {
	r, err := s.readRow(s.db, d)
	for err == nil {
		if r.form == formAbsent {
			return errs.E("cache", errs.NotExist, "", nil)
		}
		bad := read(r)
		if bad == nil {
			return nil
		}
		var again row
		if again, err = s.readRow(s.db, d); err != nil {
			break
		}
		if again.form != r.form || again.seg != r.seg || again.off != r.off {
			r = again
			continue
		}
		if !errs.Is(bad, errs.Corrupt) {
			return bad // the disk does not answer: nothing is known about the block
		}
		s.damaged(d, r, bad)
		return errs.E("cache", errs.NotExist, "", bad)
	}
	if errs.Is(err, errs.Corrupt) { // the row itself
		s.lostRow(d)
		return errs.E("cache", errs.NotExist, "", err)
	}
	return err
}

// read fetches the bytes that r names. Corrupt: they are not the block, or not there.
func (s *Store) read(d blocks.Digest, r row, into room, verify bool) (blocks.Sealed, error) {
	b := blocks.Sealed{Digest: d}
	var err error
	if r.form == formSmall {
		var key [33]byte
		b.Bytes, err = s.db.GetAppend(into(int(r.size)), s.db.AppendKey(key[:0], tabSmall, kv.Plain(d[:])))
		if errs.Is(err, errs.NotExist) {
			err = errs.E("cache", errs.Corrupt, "small block is missing", nil)
		}
	} else {
		b.Bytes, err = s.readRecord(d, r, into)
	}
	if err != nil {
		return b, err
	}
	if len(b.Bytes) != int(r.size) {
		return b, errs.E("cache", errs.Corrupt, "size", nil)
	}
	if verify {
		err = b.Verify()
	}
	return b, err
}

func (s *Store) readRecord(d blocks.Digest, r row, into room) ([]byte, error) {
	n := recordHeader + int(r.size)
	buf := into(n)[:n]
	if err := s.readSegment(r, stretch{buf, 0}); err != nil {
		return nil, err
	}
	if !isRecord(buf, d, r) {
		return nil, errs.E("cache", errs.Corrupt, "record", nil)
	}
	return buf[recordHeader:], nil
}

func isRecord(b []byte, d blocks.Digest, r row) bool {
	hd, n, ok := parseHeader(b)
	return ok && hd == d && n == int(r.size)
}

// stretch is bytes of a record, from so many behind its beginning on.
type stretch struct {
	b   []byte
	off int64
}

// readSegment fills stretches of the record that r names.
func (s *Store) readSegment(r row, all ...stretch) error {
	sg, err := s.segs.acquire(r.seg)
	if errs.Is(err, errs.NotExist) {
		return errs.E("cache", errs.Corrupt, "segment is missing", err)
	} else if err != nil {
		return err
	}
	defer s.segs.release(sg)
	for _, x := range all[1:] { // both come from the disk at once
		sg.f.Soon(int64(r.off)+x.off, int64(len(x.b)))
	}
	for _, x := range all {
		if _, err := sg.f.ReadAt(x.b, int64(r.off)+x.off); errors.Is(err, io.EOF) {
			return errs.E("cache", errs.Corrupt, "segment is cut short", nil)
		} else if err != nil {
			return errs.FromOS("cache", "segment", err)
		}
	}
	return nil
}

// Damaged is called by who opened a block and found that it does not open (possible where the
// store trusts the disk): if it really is not what its digest says, it is dropped and reported.
func (s *Store) Damaged(ctx context.Context, d blocks.Digest) error {
	if err := s.check(ctx, "cache.Damaged"); err != nil {
		return err
	}
	if _, err := s.get(d, fresh, true); err != nil && !errs.Is(err, errs.NotExist) {
		return err
	}
	return nil
}

// damaged drops a copy that failed its check; its owners stay, so that a new copy has their
// class.
func (s *Store) damaged(d blocks.Digest, r row, cause error) {
	class := r.class()
	err := s.update("cache.drop", func(tx *txn) error {
		now, err := tx.row(d)
		if err != nil {
			return err
		}
		if now.form != r.form || now.seg != r.seg || now.off != r.off {
			return errs.E("cache", errs.Stale, "", nil) // somebody else did it
		}
		gone := now
		gone.form, gone.size, gone.seg, gone.off = formAbsent, 0, 0, 0
		tx.replace(d, now, gone)
		return nil
	})
	if errs.Is(err, errs.Stale) {
		return
	}
	s.report(d, class, cause)
	s.wake()
}

// lostRow drops a row that can't be read.
func (s *Store) lostRow(d blocks.Digest) {
	if err := s.update("cache.drop", func(tx *txn) error { _, err := tx.row(d); return err }); err != nil {
		s.log.Warn("cache: a damaged row stays", "err", err)
	}
}

// droppedText begins a line about damaged blocks: a disk that dies has very many at once, so
// a line stands for all of a class since the one before.
const droppedText = "cache: blocks failed their check and were dropped"

// report must be called with s.mu free or held alike: OnCorrupt may not call the store.
func (s *Store) report(d blocks.Digest, class Class, cause error) {
	s.corrupt.Add(1)
	if n := s.reports.Add(class); n > 0 {
		s.log.Warn(droppedText, "class", class.String(), "blocks", n, "last", d.Short(), "err", cause)
	}
	if s.o.OnCorrupt != nil {
		s.o.OnCorrupt(d, class)
	}
}
