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
//     was written since they parted is written again under the new incarnation;
//   - when a peer remembers that this device has acknowledged what it does not claim: it has
//     written nothing since the image, but removals may have been collected by what it knew.

// inDoubt reports whether a peer knows another log of this device than the one here.
func (r *Replica) inDoubt() bool { return r.doubted.Load() != 0 }

// logInDoubt is the one in question: of the present incarnation unless another is.
func (r *Replica) logInDoubt() ident.Writer {
	w := r.self
	if n := r.doubted.Load(); n != 0 {
		w.Incarnation = n
	}
	return w
}

// checkLogs looks whether a peer that says where it knows logs to end knows others than the ones
// here. Needs applying.
func (r *Replica) checkLogs(from ident.DeviceID, h Hello, newest uint32) error {
	known, err, ends := newest <= r.self.Incarnation, error(nil), h.Ends
	r.mu.Lock()
	delete(r.apart, from)
	r.mu.Unlock()
	switch {
	case h.Log.Seq == 0 || !known:
	case h.Log.Incarnation < r.self.Incarnation: // the peer has yet to hear of the present one
		closed := ident.Writer{Device: r.cfg.Self, Incarnation: h.Log.Incarnation}
		ends = append(slices.Clip(ends), ChainEnd{closed, h.Log.Seq, h.Log.Hash})
	default:
		known, err = r.knows(h.Log)
	}
	switch {
	case err != nil:
	case !known:
		err = r.raiseDoubt(from, r.self)
	case !r.inDoubt() && !r.Copied() && r.forgot(h.Ack):
		err = r.reincarnate(r.self, r.ownEnd(), false)
	}
	for _, x := range ends {
		if err != nil || x.Seq > r.heads[x.Writer].last {
			continue // what goes on beyond is sent
		}
		if h := r.heads[x.Writer]; x.Seq == h.last { // as nearly always
			known = x.Hash == h.hash
		} else {
			known, err = r.goesThrough(x.Writer, LogEnd{x.Writer.Incarnation, x.Seq, x.Hash})
		}
		switch {
		case err != nil:
		case known:
			r.agree(from, Dot{Writer: x.Writer, Seq: x.Seq})
		default:
			err = r.forked(from, x.Writer)
		}
	}
	r.mu.RLock()
	line := r.line
	r.mu.RUnlock()
	for _, x := range h.Sides { // seen from there, of what goes on beyond
		_, over := line.ended[x.Writer]
		if last := r.heads[x.Writer].last; err == nil && !over && last > 0 && x.Seq > last && r.departed(x.Writer) {
			err = r.forked(from, x.Writer)
		}
	}
	for _, x := range h.Ended { // while this device takes who wrote it for a member
		parted := line.parted(x.Writer)
		if err == nil && (parted == 0 || parted > x.Seq) && x.Writer.Device != r.cfg.Self && r.cfg.Known(x.Writer.Device) {
			err = r.forked(from, x.Writer)
		}
	}
	return err
}

// forgot reports whether this device once acknowledged what it does not claim. Of its own logs, of
// closed and of forked ones claims may be taken back (reincarnate, disown, endLog).
func (r *Replica) forgot(a Ack) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return a.Incarnation == r.self.Incarnation && slices.ContainsFunc(a.Claims.Vector, func(d Dot) bool {
		return d.Writer.Device != r.cfg.Self && !r.line.closed(d.Writer) && !r.line.behindFork(d) && r.claims.Upto(d.Writer) < d.Seq
	})
}

// raiseDoubt notes that a peer knows another log of this device than the one here; one after the
// other, if there are several. Needs applying.
func (r *Replica) raiseDoubt(from ident.DeviceID, log ident.Writer) error {
	if r.inDoubt() && r.logInDoubt() != log { // that comes later
		r.setApart(from, log)
		return nil
	}
	if r.Copied() && log == r.self { // it would never end: the other copy does the same; forks of older logs end
		return nil
	}
	r.session(from).doubts = true
	if r.doubted.Swap(log.Incarnation) != 0 {
		return nil
	}
	r.news.Add(1)
	r.log.Warn("namespace: another device knows more of this device's log than is here: was the disk restored or copied?", "from", from.Short())
	return r.saveSelf()
}

// compareLogs goes on comparing the log in doubt with what a peer has of it. Needs applying.
func (r *Replica) compareLogs(from ident.DeviceID, s *session, x *signedBatch, signed bool) error {
	same, err := r.known(x)
	switch next := x.first == s.common+1; {
	case err != nil:
	case same && next:
		s.common = x.last()
	case !same && signed:
		s.parted = s.parted || next
		err = r.raiseDoubt(from, x.writer)
	}
	return err
}

// Copied reports whether another store that calls itself this device is in use at the same
// time: new incarnations of it keep coming that this one did not begin.
func (r *Replica) Copied() bool { return r.reborn.Load() >= 3 }

// endDoubt ends the doubt if the session has shown where the logs part, or that all the peer
// claims is here. What was written since they parted is written again. That comes before
// anything of the peer is merged, which may cover other writes of the same numbers. Needs
// applying.
func (r *Replica) endDoubt(s *session, theirs Claims) error {
	log := r.logInDoubt()
	compared := log == s.skip || log == r.self && s.parted // not one that came into doubt amid this session
	if !r.inDoubt() || !compared || !s.parted && theirs.Upto(log) > s.common || !r.mayEnd(s) {
		return nil
	}
	switch {
	case s.parted:
		return r.reincarnate(log, s.common, true)
	case log == r.self: // what follows here stays: as far as is known nobody has another
		return r.reincarnate(log, r.ownEnd(), false)
	}
	r.doubted.Store(0) // of a closed log nothing else is known
	r.news.Add(1)
	return r.saveSelf()
}

// ownEnd is the last number of this device's log that others may know.
func (r *Replica) ownEnd() uint64 {
	r.sealing.Lock()
	defer r.sealing.Unlock()
	return r.own.last
}

// mayEnd reports whether this peer raised the doubt, or nobody has since the last restart who is a member still.
func (r *Replica) mayEnd(s *session) bool {
	if s.doubts {
		return true
	}
	members := r.members()
	for dev, x := range r.sessions {
		if x.doubts && (len(members) == 0 || r.isMember(members, dev)) {
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
	b = binary.BigEndian.AppendUint32(b, r.doubted.Load())
	return append(b, r.cfg.Disk...)
}

// loadSelf reads it, if there is one. moved: the store lies on another disk than it remembers.
func (r *Replica) loadSelf() (moved bool, err error) {
	row, err := get(r.cfg.DB, r.keys.state(stateSelf))
	if err != nil || row == nil {
		return false, err
	}
	d := decoder{b: row}
	version := d.byte()
	if p := d.take(4); p != nil {
		r.self.Incarnation = binary.BigEndian.Uint32(p)
	}
	if p := d.take(4); p != nil {
		r.doubted.Store(binary.BigEndian.Uint32(p))
	}
	if d.bad || version != rowVersion || r.self.Incarnation == 0 {
		return false, corruptRow("self")
	}
	return len(d.b) > 0 && len(r.cfg.Disk) > 0 && !bytes.Equal(d.b, r.cfg.Disk), nil
}

// reincarnate goes on under a new incarnation. What was written in one of this device's logs
// after common is written again with unchanged stamps, so that nothing done since the image is
// lost, and is no second log under the old numbers: where the log has forked, common is where, and
// what follows it here is void from there on; else only what nobody was told is left. Needs
// applying.
func (r *Replica) reincarnate(log ident.Writer, common uint64, forked bool) error {
	const op = "namespace.reincarnate"
	r.sealing.Lock()
	defer r.sealing.Unlock()
	r.writing.Lock()
	defer r.writing.Unlock()
	old := r.self
	parts := []*logPart{{writer: log, common: common}}
	if log != old {
		parts = append(parts, &logPart{writer: old, common: r.own.last})
	}
	var cuts []Cut
	held := r.Claims()
	for _, p := range parts {
		if err := r.cutLog(p); err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		if !forked || p.cut == nil {
			continue
		}
		p.cut.Whole = p.cut.Ends[len(p.cut.Ends)-1].last
		if p.writer != old { // of an older log a part may have come only
			p.cut.Whole = min(p.cut.Whole, held.Upto(p.writer))
		}
		cuts = append(cuts, *p.cut)
	}
	self, err := r.nextIncarnation()
	if err != nil {
		return err
	}
	t := r.reader()
	t.changes = newChanges()
	t.next = 1
	t.author = self
	claims, err := r.writeAgain(t, parts, forked)
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	line := r.line.clone()
	line.learn(r.incarnation(self, cuts, t.next-1))
	r.oweAll(&line)
	num := r.numbers.number(self)
	r.doubted.Store(0)
	t.also = func(b *kv.Batch) {
		r.dropParts(b, parts, claims, line)
		_ = b.Set(r.keys.state(stateSelf), r.encodeSelf(self))
	}
	if err := r.commit(op, t); err != nil {
		return err
	}
	r.mu.Lock()
	r.self, r.selfNum, r.line, r.claims = self, num, line, claims
	r.mu.Unlock()
	for _, p := range parts {
		r.shorten(p.writer, p.end, len(p.drop) > 0)
	}
	r.own = head{}
	r.pending = t.written
	r.durable.Store(0)
	r.written.Store(t.next - 1)
	r.news.Add(1)
	r.reborn.Add(1)
	r.log.Warn("namespace: this device goes on under a new incarnation", "number", self.Incarnation, "written again", len(t.written))
	return r.cfg.DB.Sync()
}

// writeAgain gives what is live of logs behind the ends of parts new dots of t's author, unless this
// device is mute: then it is dropped. It returns the claims that are left.
func (r *Replica) writeAgain(t *tx, parts []*logPart, forked bool) (Claims, error) {
	claims := r.Claims()
	for _, p := range parts {
		again, err := r.ownAfter(p.num, p.end.last)
		if err != nil {
			return claims, err
		}
		for _, id := range again.ids {
			if r.mute() {
				for _, seq := range again.dots[id] {
					t.dropFrom(id, Dot{Writer: p.writer, Seq: seq})
				}
			} else {
				t.redot(id, again.dots[id], p, forked)
			}
		}
		last := p.end.last
		if p.writer != r.self {
			last = min(last, claims.Upto(p.writer))
		}
		if claims = claims.Without(p.writer); last > 0 {
			claims = claims.Raise(Dot{Writer: p.writer, Seq: last})
		}
	}
	t.unaudited = true
	t.repeatPlaces() // as if it had known when it wrote (S8)
	return claims, t.err
}

// dropParts removes what a store has of logs behind the ends of parts, with what was said of it.
func (r *Replica) dropParts(b *kv.Batch, parts []*logPart, claims Claims, line lineage) {
	for _, p := range parts {
		for _, k := range p.drop {
			_ = b.Delete(k)
		}
		r.setHead(b, p.num, p.end)
		if len(p.drop) > 0 {
			r.dropProgress(b)
		}
	}
	_ = b.Set(r.keys.state(stateClaims), EncodeClaims(claims))
	_ = b.Set(r.keys.state(stateLineage), line.encode())
}

// dropProgress: what an unfinished session has brought may have been dropped with a side of a fork.
func (r *Replica) dropProgress(b *kv.Batch) {
	for from := range r.unfinished {
		_ = b.Delete(r.keys.progress(from))
	}
}

// shorten takes a log back to an end, if it went on beyond. Needs applying.
func (r *Replica) shorten(w ident.Writer, end head, beyond bool) {
	if r.heads[w] = end; end.last == 0 {
		delete(r.heads, w)
	}
	if beyond {
		r.shortened++
		clear(r.unfinished)
	}
}

// logPart is a log of this device, or of one that has left, up to where others have it too.
type logPart struct {
	writer ident.Writer
	common uint64
	num    uint32
	end    head     // its last batch up to common
	drop   []kv.Key // rows of those behind it,
	cut    *Cut     // and what disowns them
}

// setHead writes where a chain ends; 0: there is none.
func (r *Replica) setHead(b *kv.Batch, num uint32, h head) {
	if h.last > 0 {
		_ = b.Set(r.keys.head(num), encodeHead(h))
	} else {
		_ = b.Delete(r.keys.head(num))
	}
}

// knows reports whether the present log of this device passes through an end that a peer knows.
func (r *Replica) knows(end LogEnd) (bool, error) {
	if end.Incarnation > r.self.Incarnation {
		return false, nil
	}
	return r.goesThrough(r.self, end)
}

// goesThrough reports whether a log that is held here has a batch.
func (r *Replica) goesThrough(log ident.Writer, end LogEnd) (bool, error) {
	s := signedBatch{}
	var bad error
	num, ok := r.numberOf(log)
	if !ok {
		return false, nil
	}
	rng := kv.Range{Prefix: r.keys.batches(num), From: r.keys.batch(num, end.Seq), Reverse: true}
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

// cutLog finds the last batch of a log that ends at or before common, the rows of
// those behind it, and a cut of them. Needs sealing and writing.
func (r *Replica) cutLog(p *logPart) error {
	p.num = r.numbers.number(p.writer)
	var (
		bad  error
		ends []head
	)
	err := r.cfg.DB.Scan(r.keys.batches(p.num), func(k kv.Key, row []byte) bool {
		d := decoder{b: bytes.Clone(row)}
		s, err := d.signedBatch()
		if bad = err; err != nil {
			return false
		}
		if s.last() <= p.common {
			p.end = head{s.last(), s.hash()}
		} else {
			ends = append(ends, head{s.last(), s.hash()})
			p.drop = append(p.drop, k.Clone())
		}
		return true
	})
	if len(ends) > 0 {
		p.cut = &Cut{Incarnation: p.writer.Incarnation, First: p.end.last + 1, Ends: fewEnds(ends)}
	}
	return errors.Join(err, bad)
}

// ownLive is the live writes of a part of a log, by register, in order.
type ownLive struct {
	ids  []regID
	dots map[regID][]uint64
}

// ownAfter lists those of a log after seq.
func (r *Replica) ownAfter(num uint32, seq uint64) (ownLive, error) {
	out := ownLive{dots: map[regID][]uint64{}}
	first := map[regID]uint64{}
	var bad error
	for order := range 3 {
		if err := r.cfg.DB.ScanRange(r.keys.dotsFrom(order, num, seq+1), func(k kv.Key, _ []byte) bool {
			id, err := r.keys.register(r.cfg.DB, k)
			if bad = err; err != nil {
				return false
			}
			n := dotSeq(k)
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

// redot gives versions of a register that were written after the end of a part new dots.
func (t *tx) redot(id regID, seqs []uint64, p *logPart, forked bool) {
	reg := slices.Clone(t.held(id))
	slices.Sort(seqs)
	for _, seq := range seqs {
		i := slices.IndexFunc(reg, func(v *merge.Version) bool { return v.Dot == Dot{Writer: p.writer, Seq: seq} })
		if i < 0 {
			t.fail(corruptRow("dot"))
			return
		}
		v := *reg[i]
		v.Dot = Dot{Writer: t.author, Seq: t.next}
		t.next++
		// What it covered may be other writes elsewhere: from where the log has forked, and by numbers
		// of which nobody was told, which another copy of the disk may have given away.
		if forked {
			v.Past = v.Past.Upto(p.writer, p.end.last)
		} else if p.writer == t.r.self {
			v.Past = v.Past.Upto(p.writer, t.r.own.last)
		}
		v.Past = v.Past.Add(v.Dot)
		for _, u := range reg { // that of another log, too
			if u.Dot.Writer == t.author {
				v.Past = v.Past.Without(u.Dot)
			}
		}
		reg[i] = &v
		t.written = append(t.written, written{id, &v})
	}
	slices.SortFunc(reg, (*merge.Version).Compare)
	t.replace(id, reg)
}
