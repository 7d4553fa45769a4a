package namespace

import (
	"context"
	"encoding/binary"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Since begins the delta for a peer that has said where it stands: what it claims, and how far
// an unfinished session came. It first makes everything here durable, because nothing may be
// sent before: after a crash the sequence numbers would be used again. While this device's own
// log is in doubt it sends only what ends the doubt of a peer; Stale: that has none.
func (r *Replica) Since(ctx context.Context, theirs Hello) (*Delta, error) {
	const op = "namespace.Since"
	if r.inDoubt() && theirs.Doubt == (ident.Writer{}) {
		return nil, errs.E(op, errs.Stale, "this device's log", nil)
	}
	if err := ctx.Err(); err != nil {
		return nil, errs.E(op, errs.Interrupted, "", err)
	}
	if err := r.flush(); err != nil { // most of the work, outside the lock
		return nil, err
	}
	d, err := r.snapshot(theirs)
	if err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	d.next, d.stop = iter.Pull(d.items)
	return d, nil
}

// snapshot fixes a state in which every write of this device is in a batch, and makes it
// durable.
func (r *Replica) snapshot(theirs Hello) (*Delta, error) {
	r.sealing.Lock()
	defer r.sealing.Unlock()
	r.writing.Lock()
	todo := r.pending
	r.pending = nil
	from := r.own.last
	if err := r.sealHeld(todo); err != nil {
		r.pending = todo[r.own.last-from:]
		r.writing.Unlock()
		return nil, err
	}
	snap, err := r.cfg.DB.Snapshot()
	t := r.reader()
	t.src, t.caches = snap, nil
	r.writing.Unlock()
	if err != nil {
		return nil, err
	}
	if err := r.harden(); err != nil {
		_ = snap.Close()
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	end := End{Claims: r.claims, Acks: maps.Clone(r.acks)}
	if r.inDoubt() {
		end = End{Partly: true}
	}
	return &Delta{r: r, snap: snap, t: t, theirs: theirs.Claims, progress: theirs.Progress, beyond: theirs.Beyond, ends: theirs.Ends, known: theirs.known(r.cfg.Self), doubt: theirs.Doubt, end: end, page: MaxRecords}, nil
}

// Delta is what one peer lacks, as frames: first the batches that are new to it, then live
// records in the order of S3. It reads a snapshot: Close it soon. One goroutine at a time.
type Delta struct {
	r        *Replica
	snap     *kv.Snapshot
	t        *tx
	theirs   Claims
	progress Progress
	beyond   []Beyond
	ends     []ChainEnd
	known    Claims     // how far the peer has the batches of each writer,
	has      []ChainEnd // and this device
	end      End
	next     func() (item, bool)
	stop     func()
	doubt    ident.Writer // the peer's log that it wants whole, to compare
	left     *item        // did not fit the last frame
	records  int
	page     int // records per frame
	err      error
}

// item is a batch or a record.
type item struct {
	batch  *signedBatch
	hashes bool
	by     ident.Writer
	record []byte
	v      *merge.Version // of the record, where it is one of a delta,
	node   NodeID         // and what it is about; zero if that cannot be read
	first  []item         // records without which it must not arrive
}

// Next returns the next frame, at most MaxFrame bytes, memory of its own; io.EOF at the end.
func (d *Delta) Next() ([]byte, error) {
	w := frameWriter{limit: d.page}
	for d.err == nil {
		it := d.left
		if it == nil {
			x, ok := d.next()
			if !ok {
				break
			}
			it = &x
		}
		if !d.add(&w, it) {
			d.left = it
			break
		}
		d.left = nil
	}
	switch {
	case d.err != nil:
		return nil, errs.E("namespace.Delta", errs.Other, "", d.err)
	case w.empty():
		return nil, io.EOF
	}
	return w.bytes(), nil
}

func (d *Delta) add(w *frameWriter, it *item) bool {
	if it.batch != nil {
		return w.addBatch(it.batch, it.hashes)
	}
	all := []item{*it}
	if len(it.first) > 0 {
		all = append(it.first, *it)
	}
	if !w.addRecords(all...) {
		return false
	}
	d.records += len(all)
	return true
}

// End is what closes the session when the receiver has applied all frames (Complete).
func (d *Delta) End() End { return d.end }

// Ends is how far the receiver has the logs when it has applied all frames.
func (d *Delta) Ends() []ChainEnd { return d.has }

// Records is how many records the frames returned so far held.
func (d *Delta) Records() int { return d.records }

// Close ends the delta.
func (d *Delta) Close() error {
	d.stop()
	return d.snap.Close()
}

// items walks over the snapshot.
func (d *Delta) items(yield func(item) bool) {
	order := make([]uint32, len(d.t.writers)) // numbers are ours alone: go by writer
	for i := range order {
		order[i] = uint32(i)
	}
	order = slices.DeleteFunc(order, d.nothingFrom())
	slices.SortFunc(order, func(a, b uint32) int { return merge.CompareWriters(d.t.writers[a], d.t.writers[b]) })
	if d.doubt != (ident.Writer{}) && !d.whole(d.doubt, yield) || d.end.Partly {
		return
	}
	for _, num := range order {
		if d.t.writers[num] == d.doubt {
			continue // and its records come in another session
		}
		if !d.batches(num, d.t.writers[num], yield) {
			return
		}
	}
	if !d.ordered(order, yield) {
		return
	}
	for _, num := range order {
		if !d.dots(orderLast, num, d.t.writers[num], yield) {
			return
		}
	}
}

// orderLast is the class of removals in a session (S3).
var orderLast = merge.Nothing.Order()

// whole yields all batches of a writer.
func (d *Delta) whole(w ident.Writer, yield func(item) bool) bool {
	num := slices.Index(d.t.writers, w)
	if num < 0 {
		return true
	}
	more := true
	d.check(d.snap.Scan(d.t.batches(uint32(num)), func(_ kv.Key, row []byte) bool {
		dec := decoder{b: append([]byte(nil), row...)}
		s, err := dec.signedBatch()
		more = d.check(err) && yield(item{batch: &s})
		return more
	}))
	return more && d.err == nil
}

// nothingFrom tells of which writers the peer claims all that there is, or holds the same beyond
// what either can claim.
func (d *Delta) nothingFrom() func(num uint32) bool {
	heads := map[uint32]head{}
	prefix := d.t.db.Key(tableHeads)
	d.check(d.snap.Scan(prefix, func(k kv.Key, row []byte) bool {
		h, err := decodeHead(row)
		if err == nil && len(k) == len(prefix)+4 {
			num := binary.BigEndian.Uint32(k[len(prefix):])
			heads[num] = h
			d.has = append(d.has, ChainEnd{d.t.writers[num], h.last, h.hash})
		}
		return d.check(err)
	}))
	return func(num uint32) bool {
		h, w := heads[num], d.t.writers[num]
		return h.last > 0 && (h.last <= d.theirs.Upto(w) || d.holdsSame(num, w, h))
	}
}

// holdsSame reports whether the peer holds of a writer, whose log ends at h here, just what is here, and can claim
// no more.
func (d *Delta) holdsSame(num uint32, w ident.Writer, h head) bool {
	i, found := slices.BinarySearchFunc(d.beyond, w, func(b Beyond, w ident.Writer) int { return merge.CompareWriters(b.Writer, w) })
	if !found || d.end.Claims.Upto(w) > d.theirs.Upto(w) {
		return false
	}
	if slices.ContainsFunc(d.ends, func(e ChainEnd) bool { return e.Writer == w && (head{e.Seq, e.Hash}) != h }) {
		return false // by the same numbers it may have another side of a fork
	}
	sum, n, err := d.r.sumBeyond(d.snap, num, w, d.theirs)
	return d.check(err) && n <= maxBeyond && sum == d.beyond[i].Sum
}

// check keeps the first error.
func (d *Delta) check(err error) bool {
	if d.err == nil {
		d.err = err
	}
	if d.err == nil {
		d.err = d.t.err
	}
	return d.err == nil
}

// batches yields the batches of a writer that the peer does not wholly claim: those that it does not have, so
// that it hears how far the log goes even where it can claim no more; and those with records that live, with the
// hashes of all.
func (d *Delta) batches(num uint32, w ident.Writer, yield func(item) bool) bool {
	after, came := d.theirs.Upto(w), d.progress.upto(3, w)
	known := max(came, d.known.Upto(w))
	prefix := d.t.keys.batches(num)
	start := d.t.keys.batch(num, after+1)
	// The batch that holds the first unclaimed write may begin before it.
	if !d.check(d.snap.ScanRange(kv.Range{Prefix: prefix, From: start, Reverse: true, KeysOnly: true}, func(k kv.Key, _ []byte) bool {
		start = k.Clone()
		return false
	})) {
		return false
	}
	more := true
	err := d.snap.ScanRange(kv.Range{Prefix: prefix, From: start}, func(_ kv.Key, row []byte) bool {
		dec := decoder{b: append([]byte(nil), row...)}
		s, err := dec.signedBatch()
		if err == nil && !dec.end() {
			err = corruptRow("batch")
		}
		if more = d.check(err); !more || s.last() <= max(after, came) {
			return more
		}
		lives, err := d.lives(num, w, max(s.first, after+1), s.last())
		if more = d.check(err); more && (lives || s.last() > known) {
			more = yield(item{batch: &s, hashes: lives})
		}
		return more
	})
	return d.check(err) && more
}

// lives reports whether any record of a writer from first to last is live and not claimed by
// the peer.
func (d *Delta) lives(num uint32, w ident.Writer, first, last uint64) (found bool, err error) {
	for order := 0; order < 3 && !found && err == nil; order++ {
		err = d.t.keys.eachDot(d.snap, order, num, w, first, func(x Dot) bool {
			found = x.Seq <= last && !d.theirs.Has(x)
			return x.Seq < last && !found
		})
	}
	return found, err
}
