package namespace

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// admit checks batches and appends the good ones to their writers' chains, in one batch of the
// store. It returns where the chains end now that have grown. A store error ends it. Needs applying.
func (r *Replica) admit(from ident.DeviceID, s *session, batches []signedBatch) (heads map[ident.Writer]head, bad []badItem, err error) {
	heads = map[ident.Writer]head{}
	if len(batches) == 0 {
		return heads, nil, nil
	}
	signed := r.signatures(batches)
	b := r.cfg.DB.Batch()
	defer b.Close()
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	line := r.line
	r.mu.RUnlock()
	for i := range batches {
		x := &batches[i]
		refuse := func(why string) {
			bad = append(bad, badItem{writer: x.writer, from: x.first, named: signed[i], bytes: x.raw, err: badBatch(why)})
		}
		refuseBehind := func(why string) { // a fork, perhaps
			refuse(why)
			bad[len(bad)-1].forked = true
		}
		h, ok := heads[x.writer]
		if !ok {
			h = r.heads[x.writer]
		}
		switch {
		case x.writer == r.self || x.writer == s.skip:
			if err := r.compareLogs(from, s, x, signed[i]); err != nil {
				return nil, bad, err
			}
			continue
		case x.share != r.cfg.Share || x.epoch != epoch:
			refuse("share or epoch")
			continue
		case !r.cfg.Known(x.writer.Device):
			refuse("unknown writer")
			continue
		case !r.cfg.Writes(x.writer.Device):
			refuse("a writer without the role")
			continue
		case !signed[i]:
			refuse("signature")
			continue
		case line.disowned(x):
			refuseBehind("written again under a newer incarnation")
			continue
		case line.over(x) && !slices.Contains(s.taking, x.writer):
			refuseBehind("of a departed device, and said again")
			bad[len(bad)-1].from = max(x.first, line.ended[x.writer].first)
			continue
		case h.last == 0 && len(r.numbers.list) >= maxWriters:
			refuse("too many incarnations")
			continue
		case x.last() <= h.last:
			same, err := r.known(x)
			if err != nil {
				return nil, bad, err
			}
			if !same {
				if err := r.forked(from, x.writer); err != nil {
					return nil, bad, err
				}
				refuse("fork")
				continue
			}
		case x.first > h.last+1:
			refuseBehind("gap")
			continue
		case x.first <= h.last || x.prev != h.hash:
			if err := r.forked(from, x.writer); err != nil {
				return nil, bad, err
			}
			refuse("fork")
			continue
		default:
			heads[x.writer] = head{x.last(), x.hash()}
		}
		num := r.numbers.number(x.writer)
		_ = b.Set(r.keys.batch(num, x.first), x.append(nil, len(x.hashes) > 0))
	}
	for w, h := range heads {
		_ = b.Set(r.keys.head(r.numbers.number(w)), encodeHead(h))
	}
	for i := r.saved; i < len(r.numbers.list); i++ {
		_ = b.Set(r.keys.writer(uint32(i)), r.numbers.list[i].Append(nil))
	}
	if err := b.Commit(kv.NoSync); err != nil {
		return nil, bad, err
	}
	r.saved = len(r.numbers.list)
	r.mu.Lock()
	r.writers = r.numbers.list
	r.mu.Unlock()
	for w, h := range heads {
		r.heads[w] = h
	}
	clear(s.batches)
	return heads, bad, nil
}

// known reports whether a batch is the one stored at its place; it takes over the stored
// member hashes if it brought none.
func (r *Replica) known(x *signedBatch) (bool, error) {
	row, err := get(r.cfg.DB, r.keys.batch(r.numbers.number(x.writer), x.first))
	if err != nil || row == nil {
		return false, err
	}
	d := decoder{b: row}
	old, err := d.signedBatch()
	if err != nil {
		return false, corruptRow("batch")
	}
	if len(x.hashes) == 0 {
		x.hashes = old.hashes
	}
	return bytes.Equal(old.raw, x.raw), nil
}

// signatures checks all signatures, on all processors.
func (r *Replica) signatures(batches []signedBatch) []bool {
	ok := make([]bool, len(batches))
	parallel(len(batches), func(i int) {
		x := &batches[i]
		ok[i] = r.cfg.Signer.VerifyBatch(x.writer.Device, x.raw, x.sig)
	})
	return ok
}

// verify checks records against their batches and opens them. What this device wrote itself it takes
// only to repair what is here. Needs applying.
func (r *Replica) verify(s *session, recs []frameRecord, repair bool) (good []verified, bad []badItem, err error) {
	type result struct {
		rec    record
		batch  *signedBatch
		v      verified
		err    error
		signed bool
	}
	// known here, or the doubt's business
	skip := func(w ident.Writer) bool { return w == r.self && !repair || w == s.skip }
	all := make([]result, len(recs))
	for i, x := range recs {
		res := &all[i]
		res.rec, res.err = parseRecord(x.bytes, x.writer)
		if skip(x.writer) || res.rec.seq == 0 {
			continue
		}
		if res.batch, err = r.batchOf(s, x.writer, res.rec.seq); err != nil {
			return nil, nil, err
		}
	}
	parallel(len(recs), func(i int) {
		res, x := &all[i], recs[i]
		if skip(x.writer) {
			return
		}
		res.signed = res.batch != nil && res.batch.member(res.rec.seq, x.bytes)
		if res.err == nil && !res.signed {
			res.err = badRecord("not what its writer signed")
		}
		if res.err != nil {
			return
		}
		if !r.blind() {
			res.v.id, res.v.v, res.err = res.rec.open(r.cfg.Sealer, x.writer, r.cfg.reads)
		}
		if r.blind() || errs.Is(res.err, errs.Unsupported) {
			res.v, res.err = res.rec.sealedVersion(Dot{Writer: x.writer, Seq: res.rec.seq}, x.bytes), nil
		}
	})
	good = make([]verified, 0, len(recs))
	for i := range all {
		if all[i].err != nil {
			bad = append(bad, badItem{writer: recs[i].writer, from: all[i].rec.seq, signed: all[i].signed, forked: !all[i].signed, bytes: recs[i].bytes, err: all[i].err})
		} else if all[i].v.v != nil {
			all[i].v.early = recs[i].early
			good = append(good, all[i].v)
		}
	}
	return good, bad, nil
}

// batchOf returns the batch that signs a record; one without members if there is none.
func (r *Replica) batchOf(s *session, w ident.Writer, seq uint64) (*signedBatch, error) {
	if b := s.batches[w]; b != nil && b.first <= seq && seq <= b.last() {
		return b, nil
	}
	var out signedBatch
	num, ok := r.numberOf(w)
	if !ok {
		return &out, nil
	}
	rng := kv.Range{Prefix: r.keys.batches(num), From: r.keys.batch(num, seq), Reverse: true}
	var bad error
	err := r.cfg.DB.ScanRange(rng, func(_ kv.Key, row []byte) bool {
		d := decoder{b: bytes.Clone(row)}
		if out, bad = d.signedBatch(); bad == nil && !d.end() {
			bad = corruptRow("batch")
		}
		return false
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	if len(out.hashes) > 0 {
		s.batches[w] = &out
	}
	return &out, nil
}

// parallel calls fn for 0 to n-1, on all processors if there is enough to do.
func parallel(n int, fn func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n/16)
	if workers < 2 {
		for i := range n {
			fn(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				fn(i)
			}
		})
	}
	wg.Wait()
}
