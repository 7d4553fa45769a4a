package namespace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// A store that was restored from an older image, or copied, must not go on numbering writes
// where the image ends: others may know other writes by those numbers. So this device goes on
// under a new incarnation (S5), as soon as it knows:
//
//   - at Open, if Config.Disk differs from what the store remembers;
//   - when a peer knows more of this device's log than is here, or another log under its
//     numbers: every Hello says where the log of the device spoken to ends, as far as known.
//     That is the doubt. What the peer has of the log is compared with what is here, and what
//     was written since they parted is written again under the new incarnation.

// raiseDoubt notes that a peer knows another log of this device than the one here. Needs
// applying.
func (r *Replica) raiseDoubt(from ident.DeviceID) error {
	s := r.session(from)
	if s.doubts {
		return nil
	}
	if r.Copied() { // it would never end: the other copy does the same
		return nil
	}
	s.doubts = true
	if r.inDoubt.Swap(true) {
		return nil
	}
	r.news.Add(1)
	r.log.Warn("namespace: another device knows more of this device's log than is here: was the disk restored or copied?", "from", from.Short())
	return r.saveSelf()
}

// Copied reports whether another store that calls itself this device is in use at the same
// time: new incarnations of it keep coming that this one did not begin.
func (r *Replica) Copied() bool { return r.reborn.Load() >= 3 }

// maySettle reports whether a session from this peer ends the doubt: it must have raised it,
// unless that was before a restart, and have shown where the logs part, or that all it knows
// is here. Needs applying.
func (r *Replica) maySettle(s *session, known uint64) bool {
	if !r.inDoubt.Load() || !s.parted && known > s.common {
		return false
	}
	if s.doubts {
		return true
	}
	for _, x := range r.sessions {
		if x.doubts {
			return false
		}
	}
	return true
}

// saveSelf writes the row of what this device is.
func (r *Replica) saveSelf() error {
	b := r.cfg.DB.Batch()
	_ = b.Set(r.keys.state(stateSelf), r.encodeSelf(r.self))
	return b.Commit(kv.Sync)
}

func (r *Replica) encodeSelf(self ident.Writer) []byte {
	b := binary.BigEndian.AppendUint32([]byte{rowVersion}, self.Incarnation)
	doubt := byte(0)
	if r.inDoubt.Load() {
		doubt = 1
	}
	return append(append(b, doubt), r.cfg.Disk...)
}

// loadSelf reads it. moved: the store lies on another disk than it remembers.
func (r *Replica) loadSelf() (moved bool, err error) {
	row, err := get(r.cfg.DB, r.keys.state(stateSelf))
	if err != nil {
		return false, err
	}
	if row == nil {
		return false, nil
	}
	d := decoder{b: row}
	version := d.byte()
	if p := d.take(4); p != nil {
		r.self.Incarnation = binary.BigEndian.Uint32(p)
	}
	r.inDoubt.Store(d.byte() == 1)
	if d.bad || version != rowVersion || r.self.Incarnation == 0 {
		return false, corruptRow("self")
	}
	return len(d.b) > 0 && len(r.cfg.Disk) > 0 && !bytes.Equal(d.b, r.cfg.Disk), nil
}

// reincarnate goes on under a new incarnation. What was written after common, the end of that
// part of the log here which others have too, is written again with unchanged stamps, so that
// nothing done since the image is lost, and is no second log under the old numbers. Needs
// applying.
func (r *Replica) reincarnate(common uint64) error {
	const op = "namespace.reincarnate"
	r.sealing.Lock()
	defer r.sealing.Unlock()
	r.writing.Lock()
	defer r.writing.Unlock()
	end, drop, cut, err := r.cutLog(common)
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	inc, err := r.newIncarnation(cut)
	if err != nil {
		return err
	}
	line := r.line.clone()
	line.learn(inc)
	for _, d := range r.members() {
		if d != r.cfg.Self {
			line.owed[d] = true
		}
	}

	t := r.reader()
	t.changes = newChanges()
	t.next = 1
	old := r.self
	again, err := r.ownAfter(end.last)
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	t.author = inc.Writer
	for _, id := range again.ids {
		t.redot(id, again.dots[id], old, end.last)
	}
	claims := r.Claims().Without(old)
	if end.last > 0 {
		claims = claims.Raise(Dot{Writer: old, Seq: end.last})
	}
	num := r.numbers.number(inc.Writer)
	r.inDoubt.Store(false)
	t.also = func(b *kv.Batch) {
		for _, k := range drop {
			_ = b.Delete(k)
		}
		if end.last > 0 {
			_ = b.Set(r.keys.head(r.selfNum), encodeHead(end))
		} else {
			_ = b.Delete(r.keys.head(r.selfNum))
		}
		_ = b.Set(r.keys.state(stateClaims), EncodeClaims(claims))
		_ = b.Set(r.keys.state(stateLineage), line.encode())
		_ = b.Set(r.keys.state(stateSelf), r.encodeSelf(inc.Writer))
	}
	if err := r.commit(op, t); err != nil {
		return err
	}
	r.mu.Lock()
	r.self, r.selfNum, r.line, r.claims = inc.Writer, num, line, claims
	r.mu.Unlock()
	if end.last > 0 {
		r.heads[old] = end
	}
	r.own = head{}
	r.pending = t.written
	r.durable.Store(0)
	r.written.Store(t.next - 1)
	r.news.Add(1)
	r.reborn.Add(1)
	r.log.Warn("namespace: this device goes on under a new incarnation", "number", inc.Writer.Incarnation, "written again", len(t.written))
	return r.cfg.DB.Sync()
}

// knows reports whether the log of this device passes through an end that a peer knows.
func (r *Replica) knows(end LogEnd) (bool, error) {
	if end.Incarnation != r.self.Incarnation {
		return end.Incarnation < r.self.Incarnation, nil
	}
	s := signedBatch{}
	var bad error
	rng := kv.Range{Prefix: r.keys.batches(r.selfNum), From: r.keys.batch(r.selfNum, end.Seq), Reverse: true}
	err := r.cfg.DB.ScanRange(rng, func(_ kv.Key, row []byte) bool {
		d := decoder{b: bytes.Clone(row)}
		s, bad = d.signedBatch()
		return false
	})
	if err = errors.Join(err, bad); err != nil {
		return false, err
	}
	return s.count > 0 && s.last() == end.Seq && s.hash() == end.Hash, nil
}

// cutLog finds the last batch of this device's log that ends at or before common, the rows of
// those behind it, and the first of them as a cut. Needs sealing.
func (r *Replica) cutLog(common uint64) (end head, drop []kv.Key, cut []Cut, err error) {
	var bad error
	err = r.cfg.DB.Scan(r.keys.batches(r.selfNum), func(k kv.Key, row []byte) bool {
		d := decoder{b: bytes.Clone(row)}
		s, err := d.signedBatch()
		if bad = err; err != nil {
			return false
		}
		if s.last() <= common {
			end = head{s.last(), s.hash()}
		} else {
			if len(drop) == 0 {
				cut = []Cut{{r.self.Incarnation, s.first, s.hash()}}
			}
			drop = append(drop, k.Clone())
		}
		return true
	})
	if err == nil {
		err = bad
	}
	return end, drop, cut, err
}

// ownLive is this device's live writes of a part of its log, by register, in order.
type ownLive struct {
	ids  []regID
	dots map[regID][]uint64
}

// ownAfter lists those after seq.
func (r *Replica) ownAfter(seq uint64) (ownLive, error) {
	out := ownLive{dots: map[regID][]uint64{}}
	first := map[regID]uint64{}
	var bad error
	for order := range 3 {
		prefix := r.keys.dots(order, r.selfNum)
		rng := kv.Range{Prefix: prefix, From: r.keys.dot(order, r.selfNum, seq), After: true}
		if err := r.cfg.DB.ScanRange(rng, func(k kv.Key, row []byte) bool {
			id, err := decodeReg(row)
			if bad = err; err != nil {
				return false
			}
			n := binary.BigEndian.Uint64(k[len(prefix):])
			out.dots[id] = append(out.dots[id], n)
			if f, ok := first[id]; !ok || n < f {
				first[id] = n
			}
			return true
		}); err != nil {
			return out, err
		}
		if bad != nil {
			return out, bad
		}
	}
	out.ids = slices.SortedFunc(maps.Keys(first), func(a, b regID) int { return int(int64(first[a] - first[b])) })
	return out, nil
}

// redot gives versions of a register that this device wrote after common new dots.
func (t *tx) redot(id regID, seqs []uint64, old ident.Writer, common uint64) {
	reg := slices.Clone(t.held(id))
	slices.Sort(seqs)
	var siblings []Dot
	for _, seq := range seqs {
		i := slices.IndexFunc(reg, func(v *merge.Version) bool { return v.Dot == Dot{Writer: old, Seq: seq} })
		if i < 0 {
			t.fail(corruptRow("dot"))
			return
		}
		v := *reg[i]
		v.Dot = Dot{Writer: t.author, Seq: t.next}
		t.next++
		v.Past = v.Past.Upto(old, common).Add(v.Dot)
		for _, s := range siblings {
			v.Past = v.Past.Without(s)
		}
		siblings = append(siblings, v.Dot)
		reg[i] = &v
		t.written = append(t.written, written{id, &v})
	}
	slices.SortFunc(reg, (*merge.Version).Compare)
	t.replace(id, reg)
}
