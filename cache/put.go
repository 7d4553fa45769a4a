package cache

import (
	"context"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// smallMax is the largest sealed block kept in the index, in bytes.
const smallMax = 16 << 10

// PutBlock implements blocks.Putter: it keeps a block that came from elsewhere (Fetched, or
// Pinned if it has such owners), evicting others to stay within the limit. NoSpace: nothing
// can be evicted, and nothing was kept. Not durable before Sync, or some seconds.
func (s *Store) PutBlock(ctx context.Context, b blocks.Sealed) error {
	const op = "cache.PutBlock"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	defer s.wake()
	if len(b.Bytes) <= smallMax && !b.Digest.IsZero() {
		if err := s.putSmall(ctx, op, b); !errs.Is(err, errs.NoSpace) { // one that is here needs none
			return err
		}
	}
	return s.store(ctx, op, []blocks.Sealed{b}, true, s.admit, func(*txn, blocks.Digest, *row) error { return nil })
}

// putSmall is store for a small block that most likely is not here: of its row is only read whether that is so while it is
// written.
func (s *Store) putSmall(ctx context.Context, op string, b blocks.Sealed) error {
	need := rowFor(b).charge()
	if err := s.admit(ctx, op, need); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved -= need
	return s.updateLocked(op, func(tx *txn) error { return tx.place(b, nil) })
}

// Stage keeps blocks written here for a node, under the owner {Writing, node}: all or none.
// They are durable after the next Sync. NoSpace: the disk is full, nothing was taken.
func (s *Store) Stage(ctx context.Context, node [16]byte, bs ...blocks.Sealed) error {
	const op = "cache.Stage"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	o := Owner{Writing, node}
	err := s.store(ctx, op, bs, false, s.admitStaged, func(tx *txn, d blocks.Digest, r *row) error { return tx.own(o, d, r) })
	s.wake()
	return err
}

// StageHere is Stage for blocks whose bytes are here already, up to the first that is not. It returns how many
// that are; zero digests count.
func (s *Store) StageHere(ctx context.Context, node [16]byte, ds ...blocks.Digest) (here int, err error) {
	const op = "cache.StageHere"
	o := Owner{Writing, node}
	for chunk := range slices.Chunk(ds, ownChunk) {
		if err := s.check(ctx, op); err != nil {
			return here, err
		}
		n := 0
		err := s.update(op, func(tx *txn) (err error) {
			n, err = tx.ownHere(o, chunk)
			return err
		})
		if err != nil {
			return here, errs.E(op, errs.Other, "", err)
		}
		if here += n; n < len(chunk) {
			break
		}
	}
	return here, nil
}

func (tx *txn) ownHere(o Owner, ds []blocks.Digest) (n int, err error) {
	for _, d := range ds {
		if !d.IsZero() {
			old, err := tx.row(d)
			if err != nil || old.form == formAbsent {
				return n, err
			}
			now := old
			if err := tx.own(o, d, &now); err != nil {
				return n, err
			}
			if now != old {
				tx.replace(d, old, now)
			}
		}
		n++
	}
	return n, nil
}

// record is a block on its way into a segment.
type record struct {
	blocks.Sealed
	sg  *segment
	off int64
}

// store writes the blocks that are not here and commits their rows, changed by own. room
// reserves space. once: their bytes are hardly read again soon. Those that came from elsewhere are in the kernel's cache of
// the mount as soon as somebody reads them; those that were written here others fetch before long.
func (s *Store) store(ctx context.Context, op string, bs []blocks.Sealed, once bool, room func(context.Context, string, int64) error,
	own func(*txn, blocks.Digest, *row) error) error {
	for _, b := range bs {
		if len(b.Bytes) > blocks.MaxSealed || b.Digest.IsZero() {
			return errs.E(op, errs.TooLarge, b.Digest.Short(), nil)
		}
	}
	if len(bs) == 0 {
		return nil
	}
	// A block that is here now may be evicted before the rows are committed; then once more.
	for {
		missing, need, err := s.missing(bs)
		if err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		if need > 0 {
			if err := room(ctx, op, need); err != nil {
				return err
			}
		}
		again, err := s.storeMissing(op, bs, missing, once, own)
		if need > 0 {
			s.mu.Lock()
			s.reserved -= need
			s.mu.Unlock()
		}
		if err != nil || !again {
			return err
		}
	}
}

// missing picks the blocks that are not here, each once, and what they will take.
func (s *Store) missing(bs []blocks.Sealed) (out []blocks.Sealed, need int64, err error) {
	for _, b := range bs {
		r, err := s.readRow(s.db, b.Digest)
		if err != nil && !errs.Is(err, errs.Corrupt) {
			return nil, 0, err
		}
		if r.form != formAbsent || slices.ContainsFunc(out, func(o blocks.Sealed) bool { return o.Digest == b.Digest }) {
			continue
		}
		out = append(out, b)
		need += rowFor(b).charge()
	}
	return out, need, nil
}

// rowFor is the row of a block just stored, place and owners left open.
func rowFor(b blocks.Sealed) row {
	if len(b.Bytes) <= smallMax {
		return row{form: formSmall, size: uint32(len(b.Bytes))}
	}
	return row{form: formSegment, size: uint32(len(b.Bytes))}
}

func (s *Store) storeMissing(op string, bs, missing []blocks.Sealed, once bool, own func(*txn, blocks.Digest, *row) error) (again bool, err error) {
	recs, err := s.write(op, missing, once)
	defer func() {
		for _, r := range recs {
			s.segs.done(r.sg)
		}
	}()
	if err == nil {
		again, err = s.commit(op, bs, missing, recs, own)
	}
	if err != nil || again {
		s.mu.Lock() // no row names them: they can be given back at any time
		for _, r := range recs {
			n := recordLen(len(r.Bytes))
			s.freed = append(s.freed, region{r.sg.no, r.off, n})
			s.pending += n
		}
		s.mu.Unlock()
	}
	return again, err
}

// write puts the large blocks into segments. The records returned have to be done, also after
// an error.
func (s *Store) write(op string, bs []blocks.Sealed, once bool) (recs []record, err error) {
	for _, b := range bs {
		if rowFor(b).form != formSegment {
			continue
		}
		r, err := s.writeRecord(op, b, once)
		if r.sg != nil {
			recs = append(recs, r)
		}
		if err != nil {
			return recs, err
		}
	}
	return recs, nil
}

// onceMin is the length in bytes from which on writing once pays: the disk is set to work with each such write.
const onceMin = 128 << 10

func (s *Store) writeRecord(op string, b blocks.Sealed, once bool) (record, error) {
	sg, off, err := s.segs.alloc(recordLen(len(b.Bytes)))
	if err != nil {
		return record{}, errs.E(op, errs.Other, b.Digest.Short(), err)
	}
	r := record{b, sg, off}
	var head [recordHeader]byte
	err = sg.f.WriteBoth(appendHeader(head[:0], b.Digest, len(b.Bytes)), b.Bytes, off, once && len(b.Bytes) >= onceMin)
	s.segs.wrote(sg)
	if err != nil {
		return r, errs.FromOS(op, b.Digest.Short(), err)
	}
	return r, nil
}

// commit writes the rows. again: a block that was here is gone, so that all has to be repeated.
func (s *Store) commit(op string, bs, missing []blocks.Sealed, recs []record, own func(*txn, blocks.Digest, *row) error) (again bool, err error) {
	err = s.update(op, func(tx *txn) error {
		for _, b := range missing {
			if err := tx.place(b, recs); err != nil {
				return err
			}
		}
		for _, b := range bs {
			old, err := tx.row(b.Digest)
			if err != nil {
				return err
			}
			if old.form == formAbsent {
				again = true
				return errs.E(op, errs.Stale, "", nil)
			}
			now := old
			if err := own(tx, b.Digest, &now); err != nil {
				return err
			}
			if now != old {
				tx.replace(b.Digest, old, now)
			}
		}
		return nil
	})
	if again {
		return true, nil
	}
	return false, err
}

// place gives a block its row, unless somebody was faster: then the record is freed.
func (tx *txn) place(b blocks.Sealed, recs []record) error {
	old, err := tx.row(b.Digest)
	if err != nil {
		return err
	}
	now := rowFor(b)
	if now.form == formSegment {
		r := recs[slices.IndexFunc(recs, func(r record) bool { return r.Digest == b.Digest })]
		if old.form != formAbsent {
			tx.freed = append(tx.freed, region{r.sg.no, r.off, recordLen(len(b.Bytes))})
			return nil
		}
		now.seg, now.off = r.sg.no, uint32(r.off)
		tx.list(b.Digest, now)
	} else if old.form != formAbsent {
		return nil
	} else if err := tx.b.Set(tx.s.smallKey(b.Digest), b.Bytes); err != nil {
		return err
	}
	now.staged, now.pinned, now.past = old.staged, old.pinned, old.past
	tx.replace(b.Digest, old, now)
	return nil
}
