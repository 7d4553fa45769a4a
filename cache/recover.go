package cache

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func (x segSum) append(b []byte) []byte {
	b = append(b, rowVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(x.live))
	return binary.BigEndian.AppendUint64(b, uint64(x.end))
}

func parseSegSum(b []byte) (segSum, bool) {
	if len(b) != 17 || b[0] != rowVersion {
		return segSum{}, false
	}
	return segSum{int64(binary.BigEndian.Uint64(b[1:])), int64(binary.BigEndian.Uint64(b[9:]))}, true
}

// recover brings the index and the segments to agree. It reads one row per segment, the rows
// of blocks not synced before a crash, and nothing else, unless something is damaged.
func (s *Store) recover() error {
	files, err := s.o.fault.disk.List()
	if err != nil {
		return errs.FromOS("cache.Open", "segments", err)
	}
	ok, fresh, err := s.loadSums()
	if err != nil {
		return err
	}
	sizes := map[uint32]int64{}
	for _, f := range files {
		sizes[f.no] = f.size
		s.segs.all[f.no] = &segment{no: f.no}
		s.segs.nextNo = max(s.segs.nextNo, f.no+1)
	}
	for no := range s.segSums {
		s.segs.nextNo = max(s.segs.nextNo, no+1)
	}
	if fresh && len(files) > 0 {
		return s.adopt(files)
	}
	if !ok {
		if err := s.rebuild(); err != nil {
			return err
		}
	}
	if err := s.checkUnsynced(); err != nil {
		return err
	}
	if err := s.dropBeyond(sizes); err != nil {
		return err
	}
	// What was freed here may lie beyond the end of its file, where new records will come to lie: it
	// is given back before, or it would take those with it.
	if s.reclaim(); len(s.freed) > 0 {
		return errs.E("cache.Open", errs.Other, "what a crash took is not given back yet", nil)
	}
	s.resume(files)
	return nil
}

// loadSums reads totals and segment sums. ok: they can be believed; fresh: the index is empty.
func (s *Store) loadSums() (ok, fresh bool, err error) {
	ok = true
	b, err := s.db.Get(s.totalsKey())
	if err == nil {
		s.t, err = parseTotals(b)
	}
	switch {
	case errs.Is(err, errs.NotExist):
		any := false
		err = s.db.ScanKeys(s.db.Key(tabBlock), func(kv.Key) bool { any = true; return false })
		if err != nil || !any {
			return true, true, err
		}
		ok = false
	case errs.Is(err, errs.Corrupt):
		ok = false
	case err != nil:
		return false, false, err
	}
	prefix := s.db.Key(tabSegment)
	err = s.db.Scan(prefix, func(k kv.Key, v []byte) bool {
		sum, good := parseSegSum(v)
		if ok = ok && good && len(k) == len(prefix)+8; ok {
			s.segSums[uint32(binary.BigEndian.Uint64(k[len(prefix):]))] = sum
		}
		return ok
	})
	if errs.Is(err, errs.Corrupt) {
		ok, err = false, nil
	}
	return ok, false, err
}

// checkUnsynced looks at the records that were not known to be durable when the store was last
// closed or killed, and drops the rows of those that did not survive.
func (s *Store) checkUnsynced() error {
	type entry struct {
		key kv.Key
		d   blocks.Digest
	}
	prefix := s.db.Key(tabUnsynced)
	var list []entry
	if err := s.db.Scan(prefix, func(k kv.Key, v []byte) bool {
		if len(v) == len(blocks.Digest{}) {
			list = append(list, entry{k.Clone(), blocks.Digest(v)})
		}
		return true
	}); err != nil && !errs.Is(err, errs.Corrupt) {
		return err
	}
	if len(list) == 0 {
		return nil
	}
	for _, e := range list {
		r, err := s.readRow(s.db, e.d)
		if err != nil || r.form != formSegment || len(e.key) != len(prefix)+8 ||
			uint64(r.seg)<<32|uint64(r.off) != binary.BigEndian.Uint64(e.key[len(prefix):]) {
			continue
		}
		if _, err := s.read(e.d, r, fresh, true); err == nil {
			continue
		} else if !errs.Is(err, errs.Corrupt) {
			return err
		}
		if err := s.lose(e.d, r); err != nil {
			return err
		}
	}
	if n := s.lost.Load(); n > 0 {
		s.log.Info("cache: blocks not synced before the crash are gone", "blocks", n)
	}
	// What is there was in the system's memory perhaps: make it durable before it is not
	// listed any more.
	if err := s.resync(); err != nil {
		return err
	}
	b := s.db.Batch()
	for _, e := range list {
		_ = b.Delete(e.key)
	}
	return b.Commit(kv.NoSync)
}

// resync syncs every segment that has unsynced records; which ones does not matter much, there
// are one or two.
func (s *Store) resync() error {
	seen := map[uint32]bool{}
	prefix := s.db.Key(tabUnsynced)
	if err := s.db.ScanKeys(prefix, func(k kv.Key) bool {
		if len(k) == len(prefix)+8 {
			seen[uint32(binary.BigEndian.Uint64(k[len(prefix):])>>32)] = true
		}
		return true
	}); err != nil {
		return err
	}
	for no := range seen {
		sg, err := s.segs.acquire(no)
		if err != nil {
			continue // no such file: its rows were dropped
		}
		err = sg.f.Datasync()
		s.segs.release(sg)
		if err != nil {
			return errs.FromOS("cache.Open", "segment", err)
		}
	}
	return s.syncNames()
}

// syncNames makes the names of the segments durable.
func (s *Store) syncNames() error {
	if err := s.o.fault.disk.SyncDir(); err != nil {
		return errs.FromOS("cache.Open", "segments", err)
	}
	return nil
}

// lose drops a row whose record a crash took; its owners stay.
func (s *Store) lose(d blocks.Digest, r row) error {
	s.lost.Add(1)
	return s.update("cache.Open", func(tx *txn) error {
		gone := r
		gone.form, gone.size, gone.seg, gone.off = formAbsent, 0, 0, 0
		tx.replace(d, r, gone)
		return nil
	})
}

// dropBeyond drops, and reports, the rows of segments that are shorter than they were: somebody
// has cut or deleted them. That takes a look at every row, but only then.
func (s *Store) dropBeyond(sizes map[uint32]int64) error {
	short := map[uint32]int64{}
	for no, sum := range s.segSums {
		if size := sizes[no]; sum.live > 0 && size < sum.end {
			short[no] = size
		}
	}
	if len(short) == 0 {
		return nil
	}
	err := s.eachRow(func(d blocks.Digest, r row) error {
		size, ok := short[r.seg]
		if !ok || r.form != formSegment || int64(r.off)+recordHeader+int64(r.size) <= size {
			return nil
		}
		s.damaged(d, r, errs.E("cache.Open", errs.Corrupt, "segment is cut short", nil))
		return nil
	})
	for no, size := range short {
		sum := s.segSums[no]
		sum.end = size
		s.segSums[no] = sum
	}
	return err
}

// eachRow visits every row of the index, a chunk at a time, so that no scan stays open while
// fn works. Damaged rows are left out.
func (s *Store) eachRow(fn func(blocks.Digest, row) error) error {
	return s.rowsFrom(blocks.Digest{}, fn)
}

// rowsFrom is eachRow from a digest on.
func (s *Store) rowsFrom(first blocks.Digest, fn func(blocks.Digest, row) error) error {
	type pair struct {
		d blocks.Digest
		r row
	}
	prefix := s.db.Key(tabBlock)
	for rg := (kv.Range{Prefix: prefix, From: s.blockKey(first)}); ; {
		var chunk []pair
		n, last := 0, blocks.Digest{}
		err := s.db.ScanRange(rg, func(k kv.Key, v []byte) bool {
			if rest := k[len(prefix):]; len(rest) == len(last) {
				last = blocks.Digest(rest)
				if r, err := parseRow(v); err == nil {
					chunk = append(chunk, pair{last, r})
				}
			}
			n++
			return n < ownChunk
		})
		if err != nil && !errs.Is(err, errs.Corrupt) {
			return err
		}
		for _, p := range chunk {
			if err := fn(p.d, p.r); err != nil {
				return err
			}
		}
		if n < ownChunk {
			return nil
		}
		rg.From, rg.After = s.blockKey(last), true
	}
}

// resume prepares the segments for new records: files that no row names go, the last one grows
// on, and ranges that were freed but not given back before a crash are.
func (s *Store) resume(files []segInfo) {
	var last segInfo
	for _, f := range files {
		if f.no > last.no {
			last = f
		}
	}
	for _, f := range files {
		sum := s.segSums[f.no]
		switch {
		case sum.live <= 0:
			s.segs.remove(f.no)
			delete(s.segSums, f.no)
			continue
		case f.no == last.no && f.size < s.segs.size:
			s.segs.active = s.segs.all[f.no]
			s.segs.end = (max(f.size, sum.end) + recordAlign - 1) &^ (recordAlign - 1)
		}
		if f.allocated > sum.live+recordAlign*16 && !s.noPunch.Load() {
			if err := s.trim(f); err != nil {
				s.log.Warn("cache: dead ranges stay on the disk", "err", err)
			}
		}
	}
}

// trim punches out what no row names.
func (s *Store) trim(f segInfo) error {
	sg, err := s.segs.acquire(f.no)
	if err != nil {
		return err
	}
	defer s.segs.release(sg)
	dead := int64(0) // where the dead range before the present record begins
	err = walk(sg.f, f.size, func(x found) (bool, error) {
		r, err := s.readRow(s.db, x.d)
		if err != nil {
			return false, err // nothing is punched on the word of a row that can't be read
		}
		if r.form != formSegment || r.seg != f.no || int64(r.off) != x.off {
			return false, nil
		}
		if x.off > dead {
			s.punch(region{f.no, dead, x.off - dead})
		}
		dead = x.off + recordLen(x.n)
		return true, nil
	})
	if err == nil && f.size > dead {
		s.punch(region{f.no, dead, f.size - dead})
	}
	return err
}
