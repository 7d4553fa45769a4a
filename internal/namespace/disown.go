package namespace

import (
	"bytes"
	"encoding/binary"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Cut says that a batch of one of its writer's older logs is void, and whatever follows it there:
// the writer has written it again under a newer incarnation. It is how a fork of a log ends: a
// disk was put back unnoticed, and somebody was told what the device then wrote under numbers
// that it had given away before. Who holds that side of the fork sets it aside (aside.go) and takes
// the other.
type Cut struct {
	Incarnation uint32
	First       uint64 // the batch's first sequence number
	Ends        []head // of that batch and of later ones (fewEnds), as far as the writer had that side itself,
	Whole       uint64 // and without holes up to here
	By          uint32 // the incarnation under which it is written again,
	Upto        uint64 // and up to which number there
}

// same reports whether two cuts are of one side of a fork.
func (c Cut) same(d Cut) bool {
	return c.Incarnation == d.Incarnation && c.First == d.First && c.Ends[0] == d.Ends[0]
}

const (
	maxCuts  = 256 // of what one incarnation disowns: each takes a restore
	maxEnds  = 64  // of a cut,
	mostEnds = 2*maxCuts + maxEnds
	lateEnds = 16
)

// fewEnds leaves the first of a side's ends, the late ones, and before these ever fewer: the side may fork
// once more where others hold it, most likely late.
func fewEnds(all []head) (few []head) {
	for i, h := range all {
		if n := len(all) - i; i == 0 || n <= lateEnds || n&(n-1) == 0 {
			few = append(few, h)
		}
	}
	return few
}

// brief is c with only the first and the last of its ends: what else others hold of that side they say again.
func (c Cut) brief() Cut {
	if n := len(c.Ends); n > 2 {
		c.Ends = []head{c.Ends[0], c.Ends[n-1]}
	}
	return c
}

// appendCuts appends, for each, u32be incarnation, u64be first, u64be whole, u32be by, u64be upto, u8 number of ends
// (u64be last, 32 bytes hash).
func appendCuts(b []byte, cuts []Cut) []byte {
	for _, c := range cuts {
		b = binary.BigEndian.AppendUint32(b, c.Incarnation)
		b = binary.BigEndian.AppendUint64(b, c.First)
		b = binary.BigEndian.AppendUint64(b, c.Whole)
		b = binary.BigEndian.AppendUint32(b, c.By)
		b = binary.BigEndian.AppendUint64(b, c.Upto)
		b = append(b, byte(len(c.Ends)))
		for _, h := range c.Ends {
			b = append(binary.BigEndian.AppendUint64(b, h.last), h.hash[:]...)
		}
	}
	return b
}

func parseCuts(b []byte) (cuts []Cut, ok bool) {
	most := mostEnds
	for d := (decoder{b: b}); len(d.b) > 0; {
		fixed, n := d.take(4+8+8+4+8), int(d.byte())
		ends := d.take(n * (8 + 32))
		if most -= n; d.bad || n == 0 || n > maxEnds || most < 0 || len(cuts) == maxCuts {
			return nil, false
		}
		c := Cut{Incarnation: binary.BigEndian.Uint32(fixed), First: binary.BigEndian.Uint64(fixed[4:]), Whole: binary.BigEndian.Uint64(fixed[12:]),
			By: binary.BigEndian.Uint32(fixed[20:]), Upto: binary.BigEndian.Uint64(fixed[24:])}
		last := c.First
		for ; len(ends) > 0; ends = ends[40:] {
			h := head{binary.BigEndian.Uint64(ends), [32]byte(ends[8:40])}
			if h.last < last || h.last > 1<<62 {
				return nil, false
			}
			c.Ends, last = append(c.Ends, h), h.last+1
		}
		if c.Incarnation == 0 || c.First == 0 || c.By <= c.Incarnation {
			return nil, false
		}
		cuts = append(cuts, c)
	}
	return cuts, true
}

// over reports whether a batch lies beyond the end of its log.
func (l *lineage) over(x *signedBatch) bool {
	e, ok := l.ended[x.writer]
	return ok && x.last() >= e.first
}

// disowned reports whether a batch is void by what its device has said since.
func (l *lineage) disowned(x *signedBatch) bool {
	for _, c := range l.cuts(x.writer.Device) {
		if c.Incarnation == x.writer.Incarnation && c.First == x.first && c.Ends[0].hash == x.hash() {
			return true
		}
	}
	return false
}

// void is the part of a closed log that is held here and was disowned.
type void struct {
	writer ident.Writer
	num    uint32
	end    head // of what stays
	cut    Cut
	alike  uint64 // up to here it is surely what the writer had of that side itself, and so has written again
}

// voids finds what is held of what line disowns.
func (r *Replica) voids(line *lineage) (out []void, err error) {
	for _, x := range line.incarnations() {
		for _, c := range x.Cuts {
			w := ident.Writer{Device: x.Writer.Device, Incarnation: c.Incarnation}
			if r.heads[w].last < c.First {
				continue // not held, or this device's own log, which the doubt takes care of
			}
			s, err := r.batchAt(w, c.First)
			if err != nil {
				return nil, err
			}
			if s == nil || s.hash() != c.Ends[0].hash {
				continue
			}
			v := void{writer: w, end: head{c.First - 1, s.prev}, cut: c}
			v.num, _ = r.numberOf(w)
			for _, h := range c.Ends {
				same, err := r.goesThrough(w, LogEnd{w.Incarnation, h.last, h.hash})
				if err != nil {
					return nil, err
				}
				if !same {
					break
				}
				v.alike = min(h.last, c.Whole)
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// batchAt returns the batch of a log that begins at first; nil if none does.
func (r *Replica) batchAt(w ident.Writer, first uint64) (*signedBatch, error) {
	num, ok := r.numberOf(w)
	if !ok {
		return nil, nil
	}
	row, err := get(r.cfg.DB, r.keys.batch(num, first))
	if err != nil || row == nil {
		return nil, err
	}
	d := decoder{b: bytes.Clone(row)}
	s, err := d.signedBatch()
	return &s, err
}

// disown takes over a lineage that makes part of what is held void, and sets that part aside. What
// its writer said again comes in the session that begins with the lineage. Needs applying,
// sealing and writing.
func (r *Replica) disown(line lineage, voids []void) error {
	const op = "namespace.disown"
	t := r.reader()
	t.changes = newChanges()
	t.remote, t.next = true, r.next
	claims := r.Claims()
	var rows []kv.Key
	var kept []aside
	for _, v := range voids {
		beyond := kv.Range{Prefix: r.keys.batches(v.num), From: r.keys.batch(v.num, v.end.last), After: true, KeysOnly: true}
		t.fail(r.cfg.DB.ScanRange(beyond, func(k kv.Key, _ []byte) bool {
			rows = append(rows, k.Clone())
			return true
		}))
		for order := range 3 {
			t.fail(r.keys.eachDot(r.cfg.DB, order, v.num, v.writer, v.end.last+1, func(d Dot) bool {
				if id, x := t.drop(d); x != nil && !r.mute() && id.kind != regBlind {
					kept = append(kept, aside{cut: v.cut, alike: v.alike, of: v.writer, id: id, v: x})
				}
				return true
			}))
		}
		last := min(claims.Upto(v.writer), v.end.last)
		if claims = claims.Without(v.writer); last > 0 {
			claims = claims.Raise(Dot{Writer: v.writer, Seq: last})
		}
	}
	t.also = func(b *kv.Batch) {
		for i := range kept {
			r.setAside(b, &kept[i])
		}
		for _, k := range rows {
			_ = b.Delete(k)
		}
		for _, v := range voids {
			r.setHead(b, v.num, v.end)
		}
		r.dropProgress(b)
		_ = b.Set(r.keys.state(stateClaims), EncodeClaims(claims))
		_ = b.Set(r.keys.state(stateLineage), line.encode())
	}
	if err := r.commit(op, t); err != nil {
		return err
	}
	r.mu.Lock()
	r.line, r.claims = line, claims
	r.asides += len(kept)
	r.mu.Unlock()
	clear(r.sessions)
	clear(r.agreed)
	for _, v := range voids {
		r.shorten(v.writer, v.end, true)
		r.log.Warn("namespace: a restored device has written part of its log again", "device", v.writer.Device.Short(), "after", v.end.last)
	}
	return r.cfg.DB.Sync()
}

// drop removes a version, and returns it; nil: it is not held.
func (t *tx) drop(d Dot) (id regID, dropped *merge.Version) {
	id, ok := t.registerOf(d)
	if !ok {
		return id, nil
	}
	return id, t.dropFrom(id, d)
}

// dropFrom removes a version from its register.
func (t *tx) dropFrom(id regID, d Dot) (dropped *merge.Version) {
	t.drops = true
	var rest merge.Register
	for _, v := range t.held(id) {
		if v.Dot == d {
			dropped = v
		} else {
			rest = append(rest, v)
		}
	}
	t.replace(id, rest)
	return dropped
}
