package placement

import (
	"bytes"
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// table of the ledger's rows: device, writer → a bitmap of sequence numbers.
const tableLedger = '1'

// Bounds of a set from another device: its encoding in bytes, and the sequence numbers in it,
// which bound the memory that a few bytes can ask for.
const (
	maxBitmap = 1 << 20
	maxSeq    = 1 << 32
)

// keptDots is what one device keeps whole: for each writer the sequence numbers of the content
// versions (their dots). Ten million files of a full holder are a few run containers.
type keptDots map[ident.Writer]*roaring64.Bitmap

func (k keptDots) has(d namespace.Dot) bool {
	b := k[d.Writer]
	return b != nil && b.Contains(d.Seq)
}

func (k keptDots) set(d namespace.Dot, on bool) {
	b := k[d.Writer]
	if b == nil {
		b = roaring64.New()
		k[d.Writer] = b
	}
	if on {
		b.Add(d.Seq)
	} else {
		b.Remove(d.Seq)
	}
}

// ledger remembers what every device, this one included, keeps whole. Rows are written
// behind (flush): what a crash loses is said again at the next contact, or found again here.
type ledger struct {
	db *kv.DB

	mu    sync.Mutex
	of    map[ident.DeviceID]keptDots
	dirty map[ident.DeviceID]map[ident.Writer]bool
}

// openLedger reads the rows. One that cannot be read is left out: what it said comes again.
func openLedger(db *kv.DB) (*ledger, error) {
	l := &ledger{db: db, of: map[ident.DeviceID]keptDots{}, dirty: map[ident.DeviceID]map[ident.Writer]bool{}}
	err := db.Scan(db.Key(tableLedger), func(k kv.Key, v []byte) bool {
		dev, w, ok := parseLedgerKey(k)
		if b, err := parseBitmap(v, len(v)); ok && err == nil {
			l.device(dev)[w] = b
		}
		return true
	})
	return l, err
}

func (l *ledger) key(dev ident.DeviceID, w ident.Writer) kv.Key {
	return l.db.Key(tableLedger, kv.Plain(dev[:]), kv.Plain(w.Append(nil)))
}

func parseLedgerKey(k kv.Key) (dev ident.DeviceID, w ident.Writer, ok bool) {
	if len(k) != 1+32+36 {
		return dev, w, false
	}
	dev, w.Device = ident.DeviceID(k[1:33]), ident.DeviceID(k[33:65])
	for _, b := range k[65:] {
		w.Incarnation = w.Incarnation<<8 | uint32(b)
	}
	return dev, w, true
}

// parseBitmap is the inverse of encodeBitmap; the bytes, at most limit, may come from another device.
func parseBitmap(b []byte, limit int) (*roaring64.Bitmap, error) {
	bad := func(why string) (*roaring64.Bitmap, error) {
		return nil, errs.E("placement.parseBitmap", errs.Protocol, why, nil)
	}
	if len(b) > limit {
		return bad("too long")
	}
	m := roaring64.New()
	for next := uint64(0); len(b) > 0; {
		gap, n := binary.Uvarint(b)
		if n <= 0 {
			return bad("gap")
		}
		length, k := binary.Uvarint(b[n:])
		if k <= 0 || length == 0 {
			return bad("length")
		}
		b = b[n+k:]
		if gap > maxSeq || length > maxSeq || next+gap+length > maxSeq {
			return bad("out of bounds")
		}
		m.AddRange(next+gap, next+gap+length)
		next += gap + length
	}
	return m, nil
}

// encodeBitmap writes a set as its runs: for each, the gap since the last run's end and its length, as
// varints. (The library's own format is not made to be read from strangers.)
func encodeBitmap(m *roaring64.Bitmap) []byte {
	var out []byte
	end := uint64(0)
	for from, to := range runs(m) {
		out = binary.AppendUvarint(binary.AppendUvarint(out, from-end), to-from)
		end = to
	}
	return out
}

// runs iterates over the half-open ranges of a set, in order.
func runs(m *roaring64.Bitmap) iter.Seq2[uint64, uint64] {
	return func(yield func(from, to uint64) bool) {
		it := m.Iterator()
		if !it.HasNext() {
			return
		}
		from := it.Next()
		to := from + 1
		for it.HasNext() {
			v := it.Next()
			if v != to {
				if !yield(from, to) {
					return
				}
				from = v
			}
			to = v + 1
		}
		yield(from, to)
	}
}

// device returns dev's part, made when missing; l.mu is held or l is not shared yet.
func (l *ledger) device(dev ident.DeviceID) keptDots {
	if l.of[dev] == nil {
		l.of[dev] = keptDots{}
	}
	return l.of[dev]
}

// set records that dev keeps, or no longer keeps, these versions; it tells whether that is news.
func (l *ledger) set(dev ident.DeviceID, on bool, dots ...namespace.Dot) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, news := l.device(dev), false
	for _, d := range dots {
		if k.has(d) != on {
			k.set(d, on)
			l.touch(dev, d.Writer)
			news = true
		}
	}
	return news
}

func (l *ledger) touch(dev ident.DeviceID, w ident.Writer) {
	if l.dirty[dev] == nil {
		l.dirty[dev] = map[ident.Writer]bool{}
	}
	l.dirty[dev][w] = true
}

// replace takes the whole truth about dev.
func (l *ledger) replace(dev ident.DeviceID, k keptDots) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, old := range []keptDots{l.of[dev], k} {
		for w := range old {
			l.touch(dev, w)
		}
	}
	l.of[dev] = k
}

// forgetKept takes back that anything is kept here: the store was lost. Pins and promises stay, and
// are fetched again.
func (e *Engine) forgetKept() error {
	e.ledger.replace(e.cfg.Self, keptDots{})
	if err := e.ledger.flush(); err != nil {
		return err
	}
	var jobs []job
	err := e.cfg.DB.ScanKeys(e.cfg.DB.Key(tableDone), func(k kv.Key) bool {
		if len(k) == 1+16+1 {
			jobs = append(jobs, job{namespace.NodeID(k[1:17]), Urgency(k[17])})
		}
		return true
	})
	for _, j := range jobs {
		if err != nil {
			break
		}
		if j.why == ForSafety {
			err = e.pins.setRow(j, nil)
			e.pins.add(j)
		} else {
			err = e.pins.clearRow(j)
		}
	}
	return err
}

// keeps reports whether dev keeps a content whole, given any of the versions that show it.
func (l *ledger) keeps(dev ident.DeviceID, dots []namespace.Dot) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(dots, l.of[dev].has)
}

// keepers lists the devices that keep a content whole, in the order of their ids.
func (l *ledger) keepers(dots []namespace.Dot) []ident.DeviceID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []ident.DeviceID
	for dev, k := range l.of {
		if slices.ContainsFunc(dots, k.has) {
			out = append(out, dev)
		}
	}
	slices.SortFunc(out, func(a, b ident.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// encode gives dev's bitmaps for the wire.
func (l *ledger) encode(dev ident.DeviceID) []writerBits {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []writerBits{}
	k := l.of[dev]
	for _, w := range slices.SortedFunc(maps.Keys(k), merge.CompareWriters) {
		if !k[w].IsEmpty() {
			out = append(out, writerBits{Device: w.Device[:], Incarnation: w.Incarnation, Bits: encodeBitmap(k[w])})
		}
	}
	return out
}

// flush writes the rows that changed.
func (l *ledger) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.dirty) == 0 {
		return nil
	}
	b := l.db.Batch()
	for dev, ws := range l.dirty {
		for w := range ws {
			var err error
			if m := l.of[dev][w]; m == nil || m.IsEmpty() {
				err = b.Delete(l.key(dev, w))
			} else {
				err = b.Set(l.key(dev, w), encodeBitmap(m))
			}
			if err != nil {
				b.Close()
				return err
			}
		}
	}
	if err := b.Commit(kv.NoSync); err != nil {
		return err
	}
	clear(l.dirty)
	return nil
}
