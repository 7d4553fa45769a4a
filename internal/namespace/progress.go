package namespace

import (
	"maps"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
	"github.com/shelffs/shelf/internal/wire"
)

// progress is how far an unfinished session from a peer came. It makes a first sync that was
// cut resume, also after a restart of this device; a complete session ends it. A peer that was started
// anew tells all again: its disk may have been put back, and what it had overwritten, and so not sent,
// lives with it again.
type progress struct {
	run     uint64    // of the peer: Hello.Run
	began   time.Time // zero: before Open
	seen    [4]map[ident.Writer]uint64
	unsaved int // records since its row was written
}

// saveEvery is after how many records the row is written again: what a crash makes come twice.
const saveEvery = 2 * MaxRecords

type progressWire struct {
	Seen [4][]dotWire `cbor:"1,keyasint"`
	Run  uint64       `cbor:"2,keyasint"`
}

func newProgress() *progress {
	p := &progress{}
	for i := range p.seen {
		p.seen[i] = map[ident.Writer]uint64{}
	}
	return p
}

func (p *progress) note(order int, d Dot) {
	p.seen[order][d.Writer] = max(p.seen[order][d.Writer], d.Seq)
}

// list is p as a peer is told.
func (p *progress) list() (out Progress) {
	for i, m := range p.seen {
		for _, w := range slices.SortedFunc(maps.Keys(m), merge.CompareWriters) {
			out[i] = append(out[i], Dot{Writer: w, Seq: m[w]})
		}
	}
	return out
}

func (p *progress) encode() []byte {
	w := progressWire{Run: p.run}
	for i, ds := range p.list() {
		w.Seen[i] = dotsToWire(ds)
	}
	return wire.Marshal(w)
}

func decodeProgress(row []byte) (*progress, error) {
	var w progressWire
	if err := wire.Unmarshal(row, &w); err != nil {
		return nil, corruptRow("progress")
	}
	p := newProgress()
	p.run = w.Run
	for i, list := range w.Seen {
		ds, ok := dotsFromWire(list)
		if !ok {
			return nil, corruptRow("progress")
		}
		for _, d := range ds {
			p.note(i, d)
		}
	}
	return p, nil
}

// progressOf is what the peer is told of its unfinished session, and that what is refused of a frozen
// writer need not come again. Needs applying and mu.
func (r *Replica) progressOf(peer ident.DeviceID) (out Progress) {
	if p := r.unfinished[peer]; p != nil {
		out = p.list()
	}
	for w, f := range r.frozen { // nothing of it needs to come once more
		if h := r.heads[w]; h.last >= f.From && r.claims.Upto(w) == f.From-1 {
			for i := range out {
				out[i] = merge.Claims{Vector: out[i]}.Raise(Dot{Writer: w, Seq: h.last}).Vector
			}
		}
	}
	return out
}

// progressFrom returns the progress of sessions from a peer. Needs applying.
func (r *Replica) progressFrom(peer ident.DeviceID) *progress {
	p := r.unfinished[peer]
	if p == nil {
		p = newProgress()
		p.began = r.cfg.Clock()
		r.unfinished[peer] = p
	}
	return p
}

// soon is how long a session may take that is not worth a word.
const soon = 2 * time.Second

// Coming lists the devices that have begun to tell what is not here, and are not done: sessions that
// take a while, or were cut.
func (r *Replica) Coming() (out []ident.DeviceID) {
	r.applying.Lock()
	defer r.applying.Unlock()
	for from, p := range r.unfinished {
		if r.cfg.Clock().Sub(p.began) > soon {
			out = append(out, from)
		}
	}
	slices.SortFunc(out, func(a, b ident.DeviceID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// advance notes what has been merged of a frame: only as far as the peer claimed when the
// session began, for above that it has holes that may be filled later. Of a writer that is frozen
// or held back nothing is merged from there on; where it is not clear which record was refused,
// nothing is noted. Needs applying.
func (r *Replica) advance(from ident.DeviceID, s *session, done []verified) error {
	p := r.progressFrom(from)
	if s.spoiled {
		return nil
	}
	p.run = s.run
	for _, x := range done {
		if !x.early && s.theirs.Upto(x.v.Dot.Writer) >= x.v.Dot.Seq {
			p.note(x.v.Class.Order(), x.v.Dot)
		}
	}
	if p.unsaved += len(done); p.unsaved < saveEvery {
		return nil
	}
	return r.saveProgress()
}

// arrived notes that chains have grown; but if something was refused, it may be a batch that is here
// and lacks its member hashes still. Needs applying.
func (r *Replica) arrived(from ident.DeviceID, s *session, heads map[ident.Writer]head) {
	if s.spoiled {
		return
	}
	p := r.progressFrom(from)
	p.run = s.run
	for w, h := range heads {
		if s.theirs.Upto(w) >= h.last {
			p.note(3, Dot{Writer: w, Seq: h.last})
		}
	}
}

// anew forgets how far the sessions from a peer came, so that the next one tells all again; false if
// they had not come anywhere. Needs applying.
func (r *Replica) anew(from ident.DeviceID) bool {
	p := r.unfinished[from]
	if p == nil {
		return false
	}
	next := newProgress()
	next.began, next.unsaved = p.began, 1
	r.unfinished[from] = next
	return true
}

// saveProgress writes the rows that are behind. They come after what they speak of, so a crash
// cannot keep them alone.
func (r *Replica) saveProgress() error {
	b := r.cfg.DB.Batch()
	for from, p := range r.unfinished {
		if p.unsaved > 0 {
			p.unsaved = 0
			_ = b.Set(r.keys.progress(from), p.encode())
		}
	}
	return b.Commit(kv.NoSync)
}

// loadProgress leaves out what cannot be read, as what an older version wrote: those sessions begin anew.
func (r *Replica) loadProgress() error {
	prefix := r.cfg.DB.Key(tableUnfinished)
	return r.cfg.DB.Scan(prefix, func(k kv.Key, row []byte) bool {
		if p, err := decodeProgress(row); err == nil && len(k) == len(prefix)+len(ident.DeviceID{}) {
			r.unfinished[ident.DeviceID(k[len(prefix):])] = p
		}
		return true
	})
}
