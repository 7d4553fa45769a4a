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
	First       uint64   // the batch's first sequence number
	Hash        [32]byte // the batch's
	Last        uint64   // as far as the writer had that side itself
	By          uint32   // the incarnation under which it is written again,
	Upto        uint64   // and up to which number there
}

// same reports whether two cuts are of one side of a fork.
func (c Cut) same(d Cut) bool {
	return c.Incarnation == d.Incarnation && c.First == d.First && c.Hash == d.Hash
}

// maxCuts bounds what one incarnation disowns: each takes a restore.
const maxCuts = 256

// cutLen is the length of a cut in bytes: u32be incarnation, u64be first, hash, u64be last, u32be by,
// u64be upto.
const cutLen = 4 + 8 + 32 + 8 + 4 + 8

func appendCuts(b []byte, cuts []Cut) []byte {
	for _, c := range cuts {
		b = binary.BigEndian.AppendUint32(b, c.Incarnation)
		b = binary.BigEndian.AppendUint64(b, c.First)
		b = append(b, c.Hash[:]...)
		b = binary.BigEndian.AppendUint64(b, c.Last)
		b = binary.BigEndian.AppendUint32(b, c.By)
		b = binary.BigEndian.AppendUint64(b, c.Upto)
	}
	return b
}

func parseCuts(b []byte) (cuts []Cut, ok bool) {
	if len(b)%cutLen != 0 || len(b) > maxCuts*cutLen {
		return nil, false
	}
	for ; len(b) > 0; b = b[cutLen:] {
		c := Cut{Incarnation: binary.BigEndian.Uint32(b), First: binary.BigEndian.Uint64(b[4:]), Hash: [32]byte(b[12:44]),
			Last: binary.BigEndian.Uint64(b[44:]), By: binary.BigEndian.Uint32(b[52:]), Upto: binary.BigEndian.Uint64(b[56:])}
		if c.Incarnation == 0 || c.First == 0 || c.Last < c.First || c.By <= c.Incarnation {
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
		if c.Incarnation == x.writer.Incarnation && c.First == x.first && c.Hash == x.hash() {
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
			if s != nil && s.hash() == c.Hash {
				num, _ := r.numberOf(w)
				out = append(out, void{w, num, head{c.First - 1, s.prev}, c})
			}
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
					kept = append(kept, aside{cut: v.cut, of: v.writer, id: id, v: x})
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
		for from := range r.unfinished { // they begin anew
			_ = b.Delete(r.keys.progress(from))
		}
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
	clear(r.unfinished)
	clear(r.sessions)
	clear(r.agreed)
	for _, v := range voids {
		if r.heads[v.writer] = v.end; v.end.last == 0 {
			delete(r.heads, v.writer)
		}
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
