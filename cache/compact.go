package cache

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// A sealed segment is copied together with others when the share of it that lives falls under
// one of these: where holes can be punched that only bounds the number of files.
const (
	sparseWithHoles = 8 // 1/8
	sparseWithout   = 2 // 1/2
)

// found is a record met while walking a segment.
type found struct {
	d   blocks.Digest
	off int64
	n   int // sealed bytes
}

// walk visits the headers in a segment file, in order, without reading the blocks. What is no
// header (a torn write) is passed over in steps of 4096, holes at once. A header alone proves nothing:
// a block's content can imitate one, and a record torn by a crash has one too, while the next
// record begins inside what it claims. So fn says whether it counts (a row names it, or its digest
// holds), and only then is its length believed.
func walk(f segFile, size int64, fn func(found) (counts bool, err error)) error {
	var head [recordHeader]byte
	for off := int64(0); off+recordHeader <= size; {
		if _, err := f.ReadAt(head[:], off); err != nil {
			return errs.FromOS("cache.walk", "segment", err)
		}
		d, n, ok := parseHeader(head[:])
		if !ok || off+recordHeader+int64(n) > size {
			if off += recordAlign; head == [recordHeader]byte{} {
				off = max(off, f.NextData(off)&^(recordAlign-1))
			}
			continue
		}
		counts, err := fn(found{d, off, n})
		if err != nil {
			return err
		}
		if counts {
			off += recordLen(n)
		} else {
			off += recordAlign
		}
	}
	return nil
}

// compact empties segments that are mostly dead, one after the other.
func (s *Store) compact(ctx context.Context) {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	for ctx.Err() == nil {
		no, ok := s.sparsest()
		if !ok || s.tooTight() {
			return
		}
		if err := s.empty(ctx, no); err != nil {
			if ctx.Err() == nil {
				s.log.Warn("cache: a sparse segment stays", "err", err)
			}
			return
		}
	}
}

// tooTight reports whether the copies might take the disk below its floor. Where holes cannot
// be punched, copying is what makes room.
func (s *Store) tooTight() bool {
	return !s.noPunch.Load() && s.diskFree() < 2*s.o.DiskFloor+slackMax
}

// sparsest picks a segment worth copying.
func (s *Store) sparsest() (no uint32, ok bool) {
	part := int64(sparseWithHoles)
	if s.noPunch.Load() {
		part = sparseWithout
	}
	active := s.segs.activeNo()
	s.mu.Lock()
	defer s.mu.Unlock()
	for no, sum := range s.segSums {
		if sum.live > 0 && sum.live*part < sum.end && no != active {
			return no, true
		}
	}
	return 0, false
}

// empty moves what lives in a segment to the active one and lets the file be removed.
func (s *Store) empty(ctx context.Context, no uint32) error {
	const op = "cache.compact"
	sg, err := s.segs.acquire(no)
	if err != nil {
		return err
	}
	defer s.segs.release(sg)
	s.mu.Lock()
	end := s.segSums[no].end
	s.mu.Unlock()

	var batch []move
	var bytes int64
	defer func() { s.doneMoves(batch) }()
	err = walk(clipped{sg.f}, end, func(f found) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		r, err := s.readRow(s.db, f.d)
		if err != nil || r.form != formSegment || r.seg != no || int64(r.off) != f.off {
			return false, nil // dead, or damaged: the next reader says so
		}
		b, err := s.read(f.d, r, fresh, true)
		if err != nil {
			s.damaged(f.d, r, err)
			return false, nil
		}
		rec, err := s.writeRecord(op, b, true)
		if rec.sg != nil {
			rec.Bytes = nil
			batch = append(batch, move{rec, r})
		}
		if err != nil {
			return false, err
		}
		if bytes += r.charge(); bytes < slackMax {
			return true, nil
		}
		moved := batch
		batch, bytes = nil, 0
		return true, s.relocate(op, moved)
	})
	if err == nil {
		moved := batch
		batch = nil
		err = s.relocate(op, moved)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	if sum := s.segSums[no]; sum.live > 0 { // nothing more was found: whoever reads it reports it
		sum.end = sum.live
		s.segSums[no] = sum
	}
	s.mu.Unlock()
	s.reclaim()
	return nil
}

// move is a record copied from where its row still points.
type move struct {
	record
	from row
}

// relocate makes the copies durable, then points the rows at them. Only then may the old
// places go.
func (s *Store) relocate(op string, moved []move) error {
	defer s.doneMoves(moved)
	if len(moved) == 0 {
		return nil
	}
	if err := s.segs.sync(); err != nil {
		e := &errs.Error{Op: op, Subject: "segment", Err: errs.FromOS("", "", err)}
		s.failed.CompareAndSwap(nil, e)
		return e
	}
	return s.update(op, func(tx *txn) error {
		for _, m := range moved {
			old, err := tx.row(m.Digest)
			if err != nil {
				return err
			}
			n := recordLen(int(m.from.size))
			if old.form != formSegment || old.seg != m.from.seg || old.off != m.from.off {
				tx.freed = append(tx.freed, region{m.sg.no, m.off, n}) // evicted meanwhile
				if tx.b.Empty() {
					_ = tx.b.Delete(tx.s.unsyncedKey(m.sg.no, uint32(m.off))) // so that the change is not void
				}
				continue
			}
			now := old
			now.seg, now.off = m.sg.no, uint32(m.off)
			tx.replace(m.Digest, old, now)
		}
		return nil
	})
}

func (s *Store) doneMoves(moved []move) {
	for _, m := range moved {
		s.segs.done(m.sg)
	}
}

// clipped reads zeros where the file is shorter than its row says.
type clipped struct{ segFile }

func (c clipped) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.segFile.ReadAt(p, off)
	if n < len(p) && n >= 0 && isEOF(err) {
		clear(p[n:])
		return len(p), nil
	}
	return n, err
}
