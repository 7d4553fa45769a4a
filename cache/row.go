package cache

import (
	"encoding/binary"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// Tables of the index.
const (
	tabBlock    = 'b' // digest → row
	tabSmall    = 's' // digest → the bytes of a small block
	tabQueue    = 'q' // queue, seq → digest: what may be evicted, oldest first
	tabOwner    = 'o' // kind, node, digest → nothing
	tabSegment  = 'g' // segment → live bytes, end
	tabUnsynced = 'u' // segment, offset → digest: not yet known to be durable
	tabTotals   = 't' // the totals
	tabScrub    = 'v' // the round of the scrub
)

// Class says why a block is here.
type Class uint8

const (
	None    Class = iota // not here
	Fetched              // may be evicted
	Pinned               // kept
	Staged               // written here, not yet known to be elsewhere
	Past                 // of contents that are past: evicted after what is fetched
)

func (c Class) String() string {
	return [...]string{"none", "fetched", "pinned", "staged", "past"}[min(c, Past)]
}

// form is how a block is stored.
type form uint8

const (
	formAbsent  form = iota // not here; the row counts its owners
	formSegment             // in a segment file
	formSmall               // in the index
)

// Queues of evictable blocks.
const (
	queueNone  = 0
	queueYoung = 1 // came once
	queueOld   = 2 // was used again, or owned
	queuePast  = 3 // of class Past: oldest first, whatever was used
)

// row is what the index knows of one block.
type row struct {
	form   form
	queue  uint8
	size   uint32 // of the sealed bytes
	seg    uint32
	off    uint32 // of the record's header in the segment
	staged uint32 // owners of kind Writing and Staged
	pinned uint32 // owners of kind Pin and Hold
	past   uint32 // owners of kind History
	seq    uint64 // place in the queue
}

// A row of version 2 says at its end how many owners are of kind History; one of version 1 has none.
const (
	rowVersion     = 1
	rowVersionPast = 2
	rowLen         = 1 + 1 + 1 + 5*4 + 8
	rowLenPast     = rowLen + 4
)

func (r row) append(b []byte) []byte {
	version := byte(rowVersion)
	if r.past > 0 {
		version = rowVersionPast
	}
	b = append(b, version, byte(r.form), r.queue)
	for _, v := range [...]uint32{r.size, r.seg, r.off, r.staged, r.pinned} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = binary.BigEndian.AppendUint64(b, r.seq)
	if r.past > 0 {
		b = binary.BigEndian.AppendUint32(b, r.past)
	}
	return b
}

func parseRow(b []byte) (row, error) {
	plain := len(b) == rowLen && b[0] == rowVersion
	past := len(b) == rowLenPast && b[0] == rowVersionPast
	if !plain && !past || b[1] > byte(formSmall) || b[2] > queuePast {
		return row{}, errs.E("cache", errs.Corrupt, "index row", nil)
	}
	u := func(i int) uint32 { return binary.BigEndian.Uint32(b[3+4*i:]) }
	r := row{form: form(b[1]), queue: b[2], size: u(0), seg: u(1), off: u(2), staged: u(3), pinned: u(4), seq: binary.BigEndian.Uint64(b[23:])}
	if past {
		r.past = binary.BigEndian.Uint32(b[rowLen:])
	}
	if r.size > blocks.MaxSealed {
		return row{}, errs.E("cache", errs.Corrupt, "index row", nil)
	}
	return r, nil
}

func (r row) class() Class {
	switch {
	case r.form == formAbsent:
		return None
	case r.staged > 0:
		return Staged
	case r.pinned > 0:
		return Pinned
	case r.past > 0:
		return Past
	}
	return Fetched
}

// owned reports whether anybody owns the block, here or not.
func (r row) owned() bool { return r.staged > 0 || r.pinned > 0 || r.past > 0 }

// smallRows is about what the index needs for a block beside its bytes.
const smallRows = 256

// charge is how many bytes of disk the block takes.
func (r row) charge() int64 {
	switch r.form {
	case formSegment:
		return recordLen(int(r.size))
	case formSmall:
		return int64(r.size) + smallRows
	}
	return 0
}

// totals are the sums over all rows, kept in one row that every change rewrites.
type totals struct {
	Bytes, Blocks [5]int64 // by class
	QueueBytes    [4]int64 // by queue
	Head          [4]uint64
	NextSeq       uint64
}

// Version 1 knew no class Past.
const (
	totalsVersion  = 2
	totalsLen      = 1 + 8*(5+5+4+4+1)
	totalsLenFirst = 1 + 8*(4+4+3+3+1)
)

func (t *totals) append(b []byte) []byte {
	b = append(b, totalsVersion)
	for _, s := range [][]int64{t.Bytes[:], t.Blocks[:], t.QueueBytes[:]} {
		for _, v := range s {
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		}
	}
	for _, v := range t.Head {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return binary.BigEndian.AppendUint64(b, t.NextSeq)
}

func parseTotals(b []byte) (t totals, err error) {
	classes, queues := len(t.Bytes), len(t.Head)
	switch {
	case len(b) == totalsLen && b[0] == totalsVersion:
	case len(b) == totalsLenFirst && b[0] == 1:
		classes, queues = classes-1, queues-1
	default:
		return t, errs.E("cache", errs.Corrupt, "totals", nil)
	}
	b = b[1:]
	next := func() uint64 {
		v := binary.BigEndian.Uint64(b)
		b = b[8:]
		return v
	}
	for _, s := range [][]int64{t.Bytes[:classes], t.Blocks[:classes], t.QueueBytes[:queues]} {
		for i := range s {
			s[i] = int64(next())
		}
	}
	for i := range queues {
		t.Head[i] = next()
	}
	t.NextSeq = next()
	return t, nil
}

func (t *totals) all() int64 {
	return t.Bytes[Fetched] + t.Bytes[Pinned] + t.Bytes[Staged] + t.Bytes[Past]
}

// Keys. None has a hidden part: digests of sealed blocks, node ids and counters say nothing.

func (s *Store) blockKey(d blocks.Digest) kv.Key { return s.db.Key(tabBlock, kv.Plain(d[:])) }
func (s *Store) smallKey(d blocks.Digest) kv.Key { return s.db.Key(tabSmall, kv.Plain(d[:])) }
func (s *Store) totalsKey() kv.Key               { return s.db.Key(tabTotals) }
func (s *Store) segmentKey(no uint32) kv.Key     { return s.db.Key(tabSegment, kv.U64(uint64(no))) }

func (s *Store) queueKey(q uint8, seq uint64) kv.Key {
	return s.db.Key(tabQueue, kv.Plain([]byte{q}), kv.U64(seq))
}

func (s *Store) unsyncedKey(seg, off uint32) kv.Key {
	return s.db.Key(tabUnsynced, kv.U64(uint64(seg)<<32|uint64(off)))
}

func (s *Store) ownerKey(o Owner, d blocks.Digest) kv.Key {
	return s.db.Key(tabOwner, kv.Plain([]byte{byte(o.Kind)}), kv.Plain(o.Node[:]), kv.Plain(d[:]))
}

func (s *Store) ownerPrefix(o Owner) kv.Key {
	return s.db.Key(tabOwner, kv.Plain([]byte{byte(o.Kind)}), kv.Plain(o.Node[:]))
}
