package cache

import (
	"errors"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// Recovered owns, under kind Written, the blocks found in segments whose index was gone: their
// owners are not known any more, so they are kept until somebody who knows takes this one away.
func Recovered() Owner { return Owner{Kind: Written} }

// adopt makes an index for segments that have none: every record whose digest holds. They may be in
// the system's memory only, and are made durable.
func (s *Store) adopt(files []segInfo) error {
	s.log.Warn("cache: the index is gone; reading the segments", "segments", len(files))
	n := 0
	for _, f := range files {
		sg, err := s.segs.acquire(f.no)
		if err != nil {
			return err
		}
		err = walk(sg.f, f.size, func(x found) (bool, error) {
			r := row{form: formSegment, size: uint32(x.n), seg: f.no, off: uint32(x.off)}
			if _, err := s.read(x.d, r, fresh, true); err != nil {
				return false, nil
			}
			n++
			return true, s.update("cache.Open", func(tx *txn) error {
				old, err := tx.row(x.d)
				if err != nil || old.form != formAbsent {
					return err
				}
				if err := tx.own(Recovered(), x.d, &r); err != nil {
					return err
				}
				tx.replace(x.d, old, r)
				return nil
			})
		})
		if err == nil {
			err = sg.f.Datasync()
		}
		s.segs.release(sg)
		if err != nil {
			return errs.FromOS("cache.Open", "segment", err)
		}
	}
	if err := s.syncNames(); err != nil {
		return err
	}
	s.log.Warn("cache: blocks adopted", "blocks", n)
	s.resume(files)
	return nil
}

// rebuild counts everything anew from the rows of blocks and owners: totals, queues, segment
// sums, counts of owners. It is needed after damage to the index only.
func (s *Store) rebuild() error {
	s.log.Warn("cache: the index is damaged; counting anew")
	s.t, s.segSums, s.recount = totals{}, map[uint32]segSum{}, false
	b := s.db.Batch()
	for _, table := range []byte{tabQueue, tabSegment, tabTotals} {
		_ = b.DeletePrefix(s.db.Key(table))
	}
	if err := b.Commit(kv.NoSync); err != nil {
		return err
	}
	if err := s.dropDamaged(); err != nil {
		return err
	}
	err := s.eachRow(func(d blocks.Digest, r row) error {
		r.queue, r.seq, r.staged, r.pinned, r.past = queueNone, 0, 0, 0, 0
		return s.update("cache.Open", func(tx *txn) error {
			tx.replace(d, row{staged: 1}, r) // as if it had been owned: to the old queue
			return nil
		})
	})
	if err != nil {
		return err
	}
	return s.recountOwners()
}

// dropDamaged deletes rows of blocks and owners that can't be read: scans leave them out, but
// they would trouble for ever.
func (s *Store) dropDamaged() error {
	b := s.db.Batch()
	defer b.Close()
	for _, table := range []byte{tabBlock, tabOwner} {
		prefix := s.db.Key(table)
		err := s.db.Scan(prefix, func(kv.Key, []byte) bool { return true })
		if err == nil {
			continue
		}
		if !errs.Is(err, errs.Corrupt) {
			return err
		}
		err = s.db.ScanKeys(prefix, func(k kv.Key) bool {
			if _, e := s.db.Get(k); !errs.Is(e, errs.Corrupt) {
				return true
			}
			_ = b.Delete(k)
			if d := k[1:]; table == tabBlock && len(d) == len(blocks.Digest{}) {
				s.report(blocks.Digest(d), None, errs.E("cache.Open", errs.Corrupt, "index row", nil))
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return b.Commit(kv.NoSync)
}

// recountOwners sets the owner counts, which rebuild has zeroed, from the owner rows.
func (s *Store) recountOwners() error {
	prefix := s.db.Key(tabOwner)
	const keyLen = 1 + 1 + 16 + 32
	for rg := (kv.Range{Prefix: prefix, KeysOnly: true}); ; {
		var chunk []kv.Key
		err := s.db.ScanRange(rg, func(k kv.Key, _ []byte) bool {
			chunk = append(chunk, k.Clone())
			return len(chunk) < ownChunk
		})
		if err == nil && len(chunk) > 0 {
			err = s.update("cache.Open", func(tx *txn) error {
				var e error
				for _, k := range chunk {
					if len(k) != keyLen {
						continue
					}
					o := Owner{Kind: Kind(k[1]), Node: [16]byte(k[2:18])}
					e = errors.Join(e, tx.change([]blocks.Digest{blocks.Digest(k[18:])}, func(_ *txn, _ blocks.Digest, r *row) error {
						*o.counter(r)++
						return nil
					}))
				}
				return e
			})
		}
		if err != nil || len(chunk) < ownChunk {
			return err
		}
		rg.From, rg.After = chunk[len(chunk)-1], true
	}
}
