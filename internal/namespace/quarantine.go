package namespace

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
)

// Refused is a batch or a record that failed a check, and was neither applied nor claimed.
type Refused struct {
	When   time.Time
	From   ident.DeviceID // who sent it: not always who wrote it
	Writer ident.Writer   // whose it claims to be
	Seq    uint64         // the first write that it holds, 0 if that cannot be told
	Why    string         // in two words, as "batch: signature"
	Size   int            // in bytes
	Bytes  []byte         // the first of them, at most maxKeptBytes
}

// quarantine counts what was refused and keeps a part of it for who wants to look into it. Its
// table is a ring: the newest items, each once per run.
type quarantine struct {
	mu   sync.Mutex
	n    int // since Open
	last error
	next uint64 // key of the next row
	kept map[[16]byte]bool
}

const (
	maxKept      = 256     // refused items kept in all, and at most written and logged per run
	maxKeptBytes = 4 << 10 // bytes kept of each
)

// refuse notes something refused from a peer. It never fails: the row is only for diagnosis.
func (r *Replica) refuse(from ident.DeviceID, it badItem) {
	q := &r.bad
	sum := sha256.Sum256(it.bytes)
	id := [16]byte(sum[:16])
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	q.last = it.err
	if q.kept[id] || q.n > maxKept {
		return
	}
	r.log.Warn("namespace: refused what a device sent", "from", from.Short(), "writer", it.writer.Device.Short(), "err", it.err)
	x := Refused{When: r.cfg.Clock(), From: from, Writer: it.writer, Seq: it.from, Why: reason(it.err),
		Size: len(it.bytes), Bytes: it.bytes[:min(len(it.bytes), maxKeptBytes)]}
	b := r.cfg.DB.Batch()
	_ = b.Set(r.keys.bad(q.next), x.encode())
	if q.next >= maxKept {
		_ = b.Delete(r.keys.bad(q.next - maxKept))
	}
	if b.Commit(kv.NoSync) == nil {
		q.next++
		q.kept[id] = true
	}
}

// reason is what a person is told of a failed check.
func reason(err error) string {
	var e *errs.Error
	for errors.As(err, &e) && e.Subject == "" && e.Err != nil {
		err = e.Err
	}
	if e == nil {
		return err.Error()
	}
	op := e.Op[strings.LastIndexByte(e.Op, '.')+1:]
	if e.Subject == "" {
		return op + ": " + e.Kind.String()
	}
	return op + ": " + e.Subject
}

// loadBad finds where the ring goes on.
func (r *Replica) loadBad() error {
	q := &r.bad
	q.kept = map[[16]byte]bool{}
	prefix := r.cfg.DB.Key(tableBad)
	return r.cfg.DB.ScanRange(kv.Range{Prefix: prefix, KeysOnly: true, Reverse: true}, func(k kv.Key, _ []byte) bool {
		if rest := k[len(prefix):]; len(rest) == 8 {
			q.next = binary.BigEndian.Uint64(rest) + 1
		}
		return false
	})
}

// Quarantined returns how many records and batches were refused since Open, and why the
// last one was.
func (r *Replica) Quarantined() (n int, last error) {
	r.bad.mu.Lock()
	defer r.bad.mu.Unlock()
	return r.bad.n, r.bad.last
}

// Refused lists what was refused and kept, also before Open, the newest first: at most maxKept
// items.
func (r *Replica) Refused() (out []Refused, err error) {
	var bad error
	err = r.cfg.DB.Scan(r.cfg.DB.Key(tableBad), func(_ kv.Key, row []byte) bool {
		x, err := decodeRefused(row)
		bad = errors.Join(bad, err)
		out = append(out, x)
		return bad == nil
	})
	slices.Reverse(out)
	return out, errors.Join(err, bad)
}

func (x *Refused) encode() []byte {
	row := binary.BigEndian.AppendUint64([]byte{rowVersion}, uint64(x.When.UnixMilli()))
	row = append(row, x.From[:]...)
	row = x.Writer.Append(row)
	row = appendString(appendUvarint(row, x.Seq), x.Why)
	return append(appendUvarint(row, uint64(x.Size)), x.Bytes...)
}

func decodeRefused(row []byte) (x Refused, err error) {
	d := decoder{b: row}
	version := d.byte()
	if t := d.take(8); t != nil {
		x.When = time.UnixMilli(int64(binary.BigEndian.Uint64(t)))
	}
	copy(x.From[:], d.take(len(x.From)))
	x.Writer, x.Seq, x.Why = d.writer(), d.uvarint(), d.string()
	x.Size = int(d.uvarint32())
	x.Bytes = slices.Clone(d.b)
	if d.bad || version != rowVersion {
		return Refused{}, corruptRow("quarantine")
	}
	return x, nil
}
