package cache

import (
	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// region is a freed part of a segment. It may be given back once the deletion of its row is
// durable: before that, a crash would bring back a row that names a hole.
type region struct {
	seg    uint32
	off, n int64
}

// segSum is what a segment's row says.
type segSum struct {
	live int64 // bytes of records that rows name
	end  int64 // beyond the last record that a row ever named
}

// txn is one atomic change of the index. Rows, totals, queues and segment sums change together
// in replace, and nowhere else.
type txn struct {
	s        *Store
	b        *kv.Batch
	t        totals
	segs     map[uint32]segSum
	freed    []region
	unsynced []uint64 // seg<<32|off of rows to be listed as not yet durable
	lost     []blocks.Digest
}

// update runs fn on the index and commits what it did; s.mu is held meanwhile, so fn must not
// wait for anything but the index. After an error nothing has changed.
func (s *Store) update(op string, fn func(*txn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updateLocked(op, fn)
}

func (s *Store) updateLocked(op string, fn func(*txn) error) error {
	tx := &txn{s: s, b: s.db.Batch(), t: s.t, segs: map[uint32]segSum{}}
	defer tx.b.Close()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.b.Empty() {
		return nil
	}
	if s.recount = s.recount || len(tx.lost) > 0; s.recount {
		_ = tx.b.Delete(s.totalsKey())
	} else {
		_ = tx.b.Set(s.totalsKey(), tx.t.append(nil))
	}
	for no, sum := range tx.segs {
		if sum.live == 0 {
			_ = tx.b.Delete(s.segmentKey(no))
		} else {
			_ = tx.b.Set(s.segmentKey(no), sum.append(nil))
		}
	}
	if tx.t.all() < s.t.all() {
		tx.b.Reclaims()
	}
	if err := tx.b.Commit(kv.NoSync); err != nil {
		return errs.E(op, errs.Other, "index", err)
	}
	s.t = tx.t
	for no, sum := range tx.segs {
		s.segSums[no] = sum
	}
	for _, r := range tx.freed {
		s.pending += r.n
	}
	s.freed = append(s.freed, tx.freed...)
	s.unsynced = append(s.unsynced, tx.unsynced...)
	for _, d := range tx.lost {
		defer s.report(d, None, errs.E(op, errs.Corrupt, "index row", nil))
	}
	return nil
}

// row reads a block's row; the zero row if there is none. A row that can't be read is deleted
// and taken for none; the next Open counts everything anew.
func (tx *txn) row(d blocks.Digest) (row, error) {
	r, err := tx.s.readRow(tx.b, d)
	if errs.Is(err, errs.Corrupt) {
		tx.lost = append(tx.lost, d)
		return row{}, tx.b.Delete(tx.s.blockKey(d))
	}
	return r, err
}

func (s *Store) readRow(r kv.Reader, d blocks.Digest) (row, error) {
	var buf [rowLenPast + 16]byte
	var key [1 + 32]byte
	b, err := r.GetAppend(buf[:0], s.db.AppendKey(key[:0], tabBlock, kv.Plain(d[:])))
	switch {
	case errs.Is(err, errs.NotExist):
		return row{}, nil
	case err != nil:
		return row{}, err
	}
	return parseRow(b)
}

// replace changes the row of d from old to new and everything that follows from it: the queue
// it stands in, the sums, the ranges that become free. new.queue and new.seq are set here.
func (tx *txn) replace(d blocks.Digest, old, new row) {
	new.queue, new.seq = old.queue, old.seq
	tx.requeue(d, old, &new, queueFor(old))
	tx.count(old, -1)
	tx.count(new, +1)
	if old.form == formSegment && (new.form != formSegment || new.seg != old.seg || new.off != old.off) {
		tx.segment(old.seg, -old.charge(), 0)
		tx.freed = append(tx.freed, region{old.seg, int64(old.off), old.charge()})
		old.form = formAbsent
	}
	if new.form == formSegment && old.form != formSegment {
		tx.segment(new.seg, new.charge(), int64(new.off)+new.charge())
	}
	if old.form == formSmall && new.form != formSmall {
		_ = tx.b.Delete(tx.s.smallKey(d))
	}
	if new.form == formAbsent && !new.owned() {
		_ = tx.b.Delete(tx.s.blockKey(d))
		return
	}
	_ = tx.b.Set(tx.s.blockKey(d), new.append(nil))
}

// queueFor is the queue in which a block begins that becomes evictable.
func queueFor(old row) uint8 {
	if old.form == formAbsent && !old.owned() {
		return queueYoung
	}
	return queueOld // owned until now, so it was of use
}

// requeue puts the block into the queue or takes it out, as its class wants.
func (tx *txn) requeue(d blocks.Digest, old row, new *row, queue uint8) {
	class, past := new.class(), old.queue == queuePast
	was := old.queue != queueNone
	if was && (class == Fetched && !past || class == Past && past) {
		return
	}
	if was {
		_ = tx.b.Delete(tx.s.queueKey(old.queue, old.seq))
		new.queue, new.seq = queueNone, 0
	}
	switch class {
	case Past:
		tx.enqueue(d, new, queuePast)
	case Fetched:
		if queue == queueYoung && tx.s.heat.ghosts.returned(d, new.charge(), tx.t.Bytes[Fetched]) {
			queue = queueOld // it was evicted a short while ago: that was a mistake
		}
		tx.enqueue(d, new, queue)
	}
}

// enqueue appends the block to a queue.
func (tx *txn) enqueue(d blocks.Digest, r *row, queue uint8) {
	tx.t.NextSeq++
	r.queue, r.seq = queue, tx.t.NextSeq
	_ = tx.b.Set(tx.s.queueKey(queue, r.seq), d[:])
}

// second moves a block from its queue to the end of the old one.
func (tx *txn) second(d blocks.Digest, r row) {
	_ = tx.b.Delete(tx.s.queueKey(r.queue, r.seq))
	tx.t.QueueBytes[r.queue] -= r.charge()
	tx.enqueue(d, &r, queueOld)
	tx.t.QueueBytes[r.queue] += r.charge()
	_ = tx.b.Set(tx.s.blockKey(d), r.append(nil))
}

// count adds a row to the totals, or takes it out.
func (tx *txn) count(r row, sign int64) {
	if c := r.class(); c != None {
		tx.t.Bytes[c] += sign * r.charge()
		tx.t.Blocks[c] += sign
		if r.queue != queueNone {
			tx.t.QueueBytes[r.queue] += sign * r.charge()
		}
	}
}

// segment changes the sums of a segment.
func (tx *txn) segment(no uint32, live, end int64) {
	sum, ok := tx.segs[no]
	if !ok {
		sum = tx.s.segSums[no]
	}
	sum.live += live
	sum.end = max(sum.end, end)
	tx.segs[no] = sum
}

// list notes that the record of a new row is not durable yet.
func (tx *txn) list(d blocks.Digest, r row) {
	if r.form == formSegment {
		_ = tx.b.Set(tx.s.unsyncedKey(r.seg, r.off), d[:])
		tx.unsynced = append(tx.unsynced, uint64(r.seg)<<32|uint64(r.off))
	}
}
