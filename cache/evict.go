package cache

import (
	"context"
	"encoding/binary"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// Eviction: two queues in the index, oldest first, after S3-FIFO (Yang et al., SOSP 2023). A
// block comes into the young queue; when its turn comes there and it was used meanwhile, it
// goes to the end of the old queue, else it is evicted. In the old queue a used block gets
// another round. A block that comes back soon after its eviction begins in the old queue. So a
// film streamed once does not sweep out what is used daily. How much the young queue may keep is
// learnt from what comes back (see ghosts): a tenth, as published, loses to LRU where work shifts. The
// cost is a few index rows per evicted block, and memory does not grow with the number of blocks.
// EVICTION.md compares it with others.
//
// Blocks of class Past stand in a third queue, in the order in which they became that. They go when
// nothing fetched is left; but while they take more than half of what is neither pinned nor staged,
// they go first, so that a long history leaves a cache to work with.

const (
	evictChunk = 64              // queue entries handled under one hold of the index
	slackMax   = 8 << 20         // evict this much more than asked for,
	slackShare = 16              // or this part of the limit if that is less
	patience   = 64 * evictChunk // after so many used blocks in a row, use no longer counts
)

// admit reserves n bytes for a fetched or pinned block, evicting what is needed.
func (s *Store) admit(ctx context.Context, op string, n int64) error {
	for {
		s.mu.Lock()
		over := s.used() + n - s.limit
		if floor := 2*s.o.DiskFloor + s.reserved + n; s.o.DiskFloor > 0 {
			over = max(over, floor-s.diskFreeLocked(floor))
		}
		if over <= 0 {
			s.reserved += n
		}
		s.mu.Unlock()
		if over <= 0 {
			return nil
		}
		freed, err := s.evict(ctx, func() int64 { return s.lacking(n) })
		if err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		if !freed {
			return errs.E(op, errs.NoSpace, "cache", nil)
		}
	}
}

// admitStaged reserves n bytes for staged blocks: the disk alone decides.
func (s *Store) admitStaged(ctx context.Context, op string, n int64) error {
	for {
		s.mu.Lock()
		ok := s.o.DiskFloor < 0 || s.diskFree() >= s.o.DiskFloor+s.reserved+n
		if ok {
			s.reserved += n
		}
		s.mu.Unlock()
		if ok {
			return nil
		}
		freed, err := s.evict(ctx, func() int64 { return s.lackingOnDisk(n) })
		if err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		if !freed {
			return errs.E(op, errs.NoSpace, "disk", nil)
		}
	}
}

// lackingOnDisk is n, or 0 if the disk has room for n staged bytes by now.
func (s *Store) lackingOnDisk(n int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.diskFree() >= s.o.DiskFloor+s.reserved+n {
		return 0
	}
	return n
}

// lacking is how many bytes must go to admit n, with some slack; 0 if there is room.
func (s *Store) lacking(n int64) int64 {
	s.mu.Lock()
	over := s.used() + n - s.limit
	slack := min(slackMax, s.limit/slackShare)
	if floor := 2*s.o.DiskFloor + s.reserved + n; s.o.DiskFloor > 0 {
		over = max(over, floor-s.diskFree())
	}
	s.mu.Unlock()
	if over <= 0 {
		return 0
	}
	return over + slack
}

// evict drops fetched blocks of as many bytes as lack says once it is this caller's turn, and
// gives them back to the disk. It reports whether anything went, or nothing had to any more.
func (s *Store) evict(ctx context.Context, lack func() int64) (freed bool, err error) {
	select {
	case s.evicting <- struct{}{}:
		defer func() { <-s.evicting }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	want := lack()
	freed = want <= 0
	if !freed {
		freed = s.reclaim() > 0 // freed before, not given back yet
		want = lack()
		freed = freed || want <= 0 // somebody else gave it back while this one waited for that
	}
	for spared := 0; want > 0 && ctx.Err() == nil; {
		var st evicted
		if err := s.update("cache.evict", func(tx *txn) error { st, err = tx.evict(want, spared > patience); return err }); err != nil {
			return freed, err
		}
		if st.seen == 0 {
			break
		}
		s.evictions.Add(int64(st.blocks))
		want -= st.bytes
		spared += st.seen - st.blocks
		freed = freed || st.blocks > 0
	}
	s.reclaim()
	return freed, ctx.Err()
}

// evicted is what one chunk of eviction did.
type evicted struct {
	seen, blocks int
	bytes        int64
}

type queued struct {
	seq uint64
	d   blocks.Digest
}

// turn is the queue to evict from.
func (tx *txn) turn() uint8 {
	left := tx.s.limit - tx.t.Bytes[Pinned] - tx.t.Bytes[Staged]
	if past := tx.t.QueueBytes[queuePast]; past > 0 && past > left/2 {
		return queuePast
	}
	if y := tx.t.QueueBytes[queueYoung]; y > 0 && (y >= tx.t.Bytes[Fetched]/shareUnit*tx.s.heat.ghosts.share.Load() || tx.t.QueueBytes[queueOld] <= 0) {
		return queueYoung
	}
	return queueOld
}

// evict handles one chunk of the queue whose turn it is. ruthless: used blocks go too.
func (tx *txn) evict(want int64, ruthless bool) (st evicted, err error) {
	var entries []queued
	var q uint8
	for _, q = range [...]uint8{tx.turn(), queueYoung, queueOld, queuePast} { // the sums can be off by damage; the queues are what counts
		if entries, err = tx.queue(q); err != nil || len(entries) > 0 {
			break
		}
	}
	for _, e := range entries {
		if err != nil || st.bytes >= want {
			return st, err
		}
		var r row
		if r, err = tx.row(e.d); err != nil {
			return st, err
		}
		st.seen++
		tx.t.Head[q] = e.seq
		switch {
		case r.queue != q || r.seq != e.seq || r.class() != Fetched && r.class() != Past:
			err = tx.b.Delete(tx.s.queueKey(q, e.seq)) // left over from damage
		case q != queuePast && tx.s.heat.cool(e.d) && !ruthless:
			tx.second(e.d, r)
		default:
			tx.s.heat.evict(e.d, q, tx.t.Blocks[Fetched])
			tx.replace(e.d, r, row{past: r.past})
			st.blocks++
			st.bytes += r.charge()
		}
	}
	return st, err
}

// queue lists the first entries of a queue.
func (tx *txn) queue(q uint8) (out []queued, err error) {
	prefix := tx.s.db.Key(tabQueue, kv.Plain([]byte{q}))
	r := kv.Range{Prefix: prefix, From: tx.s.queueKey(q, tx.t.Head[q])} // not over the tombstones before
	err = tx.b.ScanRange(r, func(k kv.Key, v []byte) bool {
		if rest := k[len(prefix):]; len(rest) == 8 && len(v) == len(blocks.Digest{}) {
			out = append(out, queued{binary.BigEndian.Uint64(rest), blocks.Digest(v)})
		}
		return len(out) < evictChunk
	})
	if errs.Is(err, errs.Corrupt) {
		err = nil // such entries were left out; Open rebuilds the queues
		tx.s.recount = true
	}
	return out, err
}

// Drop removes Fetched blocks now; others stay as they are. Their space is back on return.
func (s *Store) Drop(ctx context.Context, ds ...blocks.Digest) error {
	const op = "cache.Drop"
	if err := s.check(ctx, op); err != nil {
		return err
	}
	err := s.change(op, ds, func(tx *txn, d blocks.Digest, r *row) error {
		if r.class() == Fetched {
			*r = row{queue: r.queue, seq: r.seq}
		}
		return nil
	})
	s.reclaim()
	return err
}
