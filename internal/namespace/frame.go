package namespace

import (
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// MaxFrame is the longest frame, in bytes, and MaxRecords the largest number of records in
// one.
const (
	MaxFrame   = 576 << 10
	MaxRecords = 4096

	frameVersion = 2
)

// A frame carries batches, in the order of their chains, and records of these or of earlier
// batches:
//
//	u8 version=2 | uvarint count | count × batch | uvarint count | count × writer 36 |
//	uvarint count | count × (uvarint 2 × index of the writer + early | uvarint length | record)
//	batch = header 149 | signature 64 | uvarint count | count × member hash 16
//
// A record that is early (1) comes before its turn, because a later one needs it, and once more then.
type frame struct {
	batches []signedBatch
	records []frameRecord
	bad     []badItem // what could not be read inside a frame that could
}

type frameRecord struct {
	writer ident.Writer
	bytes  []byte
	early  bool
}

// badItem is something refused, and what it keeps from being claimed.
type badItem struct {
	writer ident.Writer
	from   uint64 // 0: unknown
	signed bool   // by the writer itself, beyond doubt
	named  bool   // a batch signed by the writer, and yet not to be taken
	forked bool   // not what is known here, as all that follows a fork on its other side
	bytes  []byte
	err    error
}

// frameWriter collects items until a frame is full.
type frameWriter struct {
	batches, records []byte
	writers          []byte
	index            map[ident.Writer]int
	nb, nr           int
	limit            int // records
}

func (w *frameWriter) size() int { return len(w.batches) + len(w.records) + len(w.writers) + 64 }

func (w *frameWriter) empty() bool { return w.nb == 0 && w.nr == 0 }

// addBatch and addRecords report false if the item no longer fits. One item always does.
func (w *frameWriter) addBatch(b *signedBatch, hashes bool) bool {
	n := signedLen + 10
	if hashes {
		n += len(b.hashes)
	}
	if !w.empty() && w.size()+n > MaxFrame {
		return false
	}
	w.batches = b.append(w.batches, hashes)
	w.nb++
	return true
}

// addRecords adds all of them or none; all but the last are early.
func (w *frameWriter) addRecords(all ...item) bool {
	n := 0
	for i := range all {
		n += len(all[i].record) + 50
	}
	if !w.empty() && (w.size()+n > MaxFrame || w.nr+len(all) > w.limit) {
		return false
	}
	for i := range all {
		w.addRecord(all[i].by, all[i].record, i < len(all)-1)
	}
	return true
}

func (w *frameWriter) addRecord(by ident.Writer, rec []byte, early bool) {
	i, ok := w.index[by]
	if !ok {
		if w.index == nil {
			w.index = map[ident.Writer]int{}
		}
		i = len(w.index)
		w.index[by] = i
		w.writers = by.Append(w.writers)
	}
	head := uint64(i) << 1
	if early {
		head |= 1
	}
	w.records = appendUvarint(w.records, head)
	w.records = append(appendUvarint(w.records, uint64(len(rec))), rec...)
	w.nr++
}

func (w *frameWriter) bytes() []byte {
	b := make([]byte, 0, w.size())
	b = append(b, frameVersion)
	b = append(appendUvarint(b, uint64(w.nb)), w.batches...)
	b = append(appendUvarint(b, uint64(len(w.index))), w.writers...)
	return append(appendUvarint(b, uint64(w.nr)), w.records...)
}

// parseFrame reads a frame, whose memory the result shares. Batches whose own form is wrong
// are set aside, so that they do not block others. Protocol.
func parseFrame(b []byte) (frame, error) {
	const op = "namespace.frame"
	if len(b) > MaxFrame {
		return frame{}, errs.E(op, errs.Protocol, "too long", nil)
	}
	d := decoder{b: b}
	if d.byte() != frameVersion {
		return frame{}, errs.E(op, errs.Protocol, "version", nil)
	}
	var f frame
	for range d.count(signedLen + 1) {
		at := d.b
		s, err := d.signedBatch()
		if d.bad {
			break
		}
		if err != nil {
			raw := decoder{b: at[1+32:]} // behind version and share
			f.bad = append(f.bad, badItem{writer: raw.writer(), bytes: at[:batchLen], err: err})
			continue
		}
		f.batches = append(f.batches, s)
	}
	writers := make([]ident.Writer, 0, 8)
	for range d.count(36) {
		writers = append(writers, d.writer())
	}
	n := d.count(2)
	if n > MaxRecords {
		return frame{}, errs.E(op, errs.Protocol, "too many records", nil)
	}
	f.records = make([]frameRecord, 0, n)
	for range n {
		head := d.uvarint()
		rec := d.take(d.count(1))
		if d.bad || head>>1 >= uint64(len(writers)) {
			return frame{}, errs.E(op, errs.Protocol, "record", nil)
		}
		f.records = append(f.records, frameRecord{writers[head>>1], rec, head&1 == 1})
	}
	if !d.end() {
		return frame{}, errs.E(op, errs.Protocol, "form", nil)
	}
	return f, nil
}
