package namespace

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/wire"
)

// Audit compares what this replica and a peer hold of all that the peer claims, at the end of
// a complete session: by sums over ranges of each writer's log, halved until they are small
// enough to be listed (range-based reconciliation), so that it costs in proportion to the
// difference. After a restore, what the peer claims and lacks is dead and dropped (S6). Where
// nobody was restored a difference means damage, and what is missing here is fetched.
//
//	for q := a.Question(); q != nil; q = a.Question() {
//		a.Hear(answer of the peer's Delta.Answer(q))
//	}
//	result := a.End(fetched frames)
type Audit struct {
	r      *Replica
	peer   ident.DeviceID
	kind   AuditKind
	theirs Claims
	todo   []span
	asked  []span
	partly bool  // some logs cannot be compared: the two sides have different ones
	lacks  []Dot // held here, not there
	places []Dot // … and placements
	misses []Dot // held there, not here
}

// span is a part of a writer's log: the records of one class order from first to last.
type span struct {
	order       int
	writer      ident.Writer
	first, last uint64
	list        bool // small: list what is live
}

const (
	maxSpans  = 256 // in one question
	maxListed = 64  // live records of a span that is listed
	spanSplit = 16
)

type (
	spanWire struct {
		_      struct{} `cbor:",toarray"`
		Order  int
		Writer []byte
		First  uint64
		Last   uint64
		List   bool
	}
	sumWire struct {
		_     struct{} `cbor:",toarray"`
		Count uint64
		Sum   []byte
		Live  []uint64
	}
)

// Audit returns the audit that this replica owes the peer after a complete session, whose end
// is given; nil for none.
func (r *Replica) Audit(peer ident.DeviceID, end End) *Audit {
	if end.Partly {
		return nil
	}
	r.applying.Lock()
	theirs := r.believe(&session{}, end.Claims)
	expected := believed(end.Claims, r.frozen)
	r.applying.Unlock()
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.claims.Covers(expected.Without(r.self)) {
		return nil // something was left out: what the peer lacks may have been overwritten by that
	}
	if len(r.undecided(peer)) > 0 {
		return nil // what the peer lacks may have been overwritten on its side of the fork
	}
	if own := min(end.Claims.Upto(r.self), r.durable.Load()); own > 0 { // of which believe says nothing
		theirs = theirs.Raise(Dot{Writer: r.self, Seq: own})
	}
	a := &Audit{r: r, peer: peer, theirs: theirs, partly: len(r.apart[peer]) > 0}
	if a.kind = r.wants(peer); a.kind == NoAudit {
		return nil
	}
	for _, d := range theirs.Vector {
		if slices.Contains(r.apart[peer], d.Writer) {
			continue
		}
		for order := range 3 {
			a.todo = append(a.todo, span{order: order, writer: d.Writer, first: 1, last: d.Seq})
		}
	}
	return a
}

// wants is what this replica has to compare with a device. Needs mu.
func (r *Replica) wants(peer ident.DeviceID) AuditKind {
	switch {
	case r.owes(peer):
		return Restored
	case r.differs[peer].mendable():
		return Damaged
	}
	return NoAudit
}

// owes reports whether an audit with a device is due since somebody was restored: this one owes it
// to those who join later, too. Needs mu.
func (r *Replica) owes(peer ident.DeviceID) bool {
	return peer != r.cfg.Self && (r.line.owed[peer] || r.self.Incarnation > 1 && !r.line.facts[Fact{r.self, peer}])
}

// mayHoldDead reports whether something may be held here of which the peer knows that it is dead:
// an audit is owed to it, or to anybody, since a disk was put back. Needs mu.
func (r *Replica) mayHoldDead(peer ident.DeviceID) bool {
	return r.owes(peer) || len(r.line.newest) > 0 && slices.ContainsFunc(r.members(), r.owes)
}

// Kind says why the audit is made.
func (a *Audit) Kind() AuditKind { return a.kind }

// Question is what to ask the peer next; nil at the end.
func (a *Audit) Question() []byte {
	if len(a.todo) == 0 {
		return nil
	}
	n := min(len(a.todo), maxSpans)
	a.asked, a.todo = a.todo[:n:n], a.todo[n:]
	var w []spanWire
	for _, s := range a.asked {
		w = append(w, spanWire{Order: s.order, Writer: s.writer.Append(nil), First: s.first, Last: s.last, List: s.list})
	}
	return wire.Marshal(w)
}

// Hear takes the answer to the last question. Protocol.
func (a *Audit) Hear(answer []byte) error {
	const op = "namespace.Audit"
	var w []sumWire
	if err := wire.Unmarshal(answer, &w); err != nil {
		return err
	}
	if len(w) != len(a.asked) {
		return errs.E(op, errs.Protocol, "answer", nil)
	}
	for i, s := range a.asked {
		mine, err := sumOf(a.r.cfg.DB, a.r, s, &a.theirs)
		if err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		theirs := sum128{}
		if len(w[i].Sum) != len(theirs) || len(w[i].Live) > maxListed {
			return errs.E(op, errs.Protocol, "sum", nil)
		}
		copy(theirs[:], w[i].Sum)
		switch {
		case mine.sum == theirs && uint64(mine.count) == w[i].Count:
		case s.list:
			a.compare(s, mine.live, w[i].Live)
		default:
			a.split(s, max(uint64(mine.count), w[i].Count))
		}
	}
	a.asked = nil
	return nil
}

// split looks closer at a span in which the two sides differ.
func (a *Audit) split(s span, most uint64) {
	if most <= maxListed || s.first == s.last {
		s.list = true
		a.todo = append(a.todo, s)
		return
	}
	step := (s.last-s.first)/spanSplit + 1
	for first := s.first; first <= s.last; first += step {
		part := s
		part.first, part.last = first, min(s.last, first+step-1)
		a.todo = append(a.todo, part)
	}
}

func (a *Audit) compare(s span, mine, theirs []uint64) {
	for _, seq := range mine {
		switch d := (Dot{Writer: s.writer, Seq: seq}); {
		case slices.Contains(theirs, seq):
		case s.order == 0:
			a.places = append(a.places, d)
		default:
			a.lacks = append(a.lacks, d)
		}
	}
	for _, seq := range theirs {
		if d := (Dot{Writer: s.writer, Seq: seq}); !slices.Contains(mine, seq) && a.theirs.Has(d) {
			a.misses = append(a.misses, d)
		}
	}
}

// Wanted is what to fetch from the peer before End: nil unless the audit repairs damage.
func (a *Audit) Wanted() []Dot {
	if a.kind == Damaged {
		return a.misses
	}
	return nil
}

// Repair merges a frame of what was wanted, though it is claimed.
func (a *Audit) Repair(ctx context.Context, frame []byte) error {
	return a.r.apply(ctx, a.peer, frame, true)
}

// End acts on what was found and notes that the audit was made. It returns how many records
// were dropped or fetched.
func (a *Audit) End() (int, error) {
	n, err := a.end()
	if err == nil {
		a.r.applying.Lock()
		defer a.r.applying.Unlock()
		err = a.r.settleAside()
	}
	return n, err
}

func (a *Audit) end() (int, error) {
	const op = "namespace.Audit"
	r := a.r
	n := len(a.Wanted())
	if a.kind == Restored {
		n = len(a.lacks) + len(a.places)
		if err := r.drop(op, a.lacks); err != nil {
			return 0, err
		}
		if err := r.repeatLost(op, a.places); err != nil {
			return 0, err
		}
		if err := r.drop(op, a.places); err != nil {
			return 0, err
		}
	}
	r.sealing.Lock()
	defer r.sealing.Unlock()
	if a.kind == Damaged {
		r.mu.Lock()
		defer r.mu.Unlock()
		d := r.differs[a.peer]
		d.looked++
		d.open = n+len(a.lacks)+len(a.places) > 0
		r.differs[a.peer] = d
		if n > 0 {
			r.news.Add(1) // the next hello tells whether it helped
		}
		return n, nil
	}
	r.mu.RLock()
	damaged := r.differs[a.peer].mendable()
	r.mu.RUnlock()
	if damaged {
		r.news.Add(1) // that is looked into by an audit of its own
	}
	if a.partly {
		return n, nil
	}
	// Before the peer knows this device's present incarnation it may still collect by what another
	// machine of the same name acknowledges: then there is one more audit to be made.
	if r.self.Incarnation > 1 && r.knownTo[a.peer] < r.self.Incarnation {
		return n, nil
	}
	line := r.line.clone()
	delete(line.owed, a.peer)
	if r.self.Incarnation > 1 {
		line.facts[Fact{r.self, a.peer}] = true
	}
	return n, r.saveLineage(line)
}

// drop removes versions that are known to be dead.
func (r *Replica) drop(op string, dots []Dot) error {
	for step := range slices.Chunk(dots, applyStep) {
		if err := r.transact(op, func(t *tx) error {
			t.remote = true
			for _, d := range step {
				_, _ = t.drop(d)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// repeatLost says again where what lives lies, and a removed directory that it lies in, where that was
// collected elsewhere: one of two copies of this disk, or it itself before it was put back, had
// acknowledged a removal of which who wrote did not know. After this device has dropped nearly all that
// the peer lacks, and before it drops these.
func (r *Replica) repeatLost(op string, places []Dot) error {
	if r.mute() {
		return nil
	}
	for step := range slices.Chunk(places, applyStep) {
		if err := r.update(op, func(t *tx) error {
			for _, d := range step {
				id, ok := t.registerOf(d)
				if !ok {
					continue
				}
				n := t.node(id.node)
				if p := n.P.Winner(); (n.Alive() || n.placed) && p.Dot == d { // its own, too
					t.repeatPlace(id.node, p)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

type sum128 = [16]byte

// spanSum is what one side holds of a span.
type spanSum struct {
	count int
	sum   sum128
	live  []uint64 // if it was asked for
}

// sumOf sums up the live records of a span that claims has; all if claims is nil.
func sumOf(src kv.Reader, r *Replica, s span, claims *Claims) (out spanSum, err error) {
	num, ok := r.numberOf(s.writer)
	if !ok {
		return out, nil
	}
	var x state
	err = r.keys.eachDot(src, s.order, num, s.writer, s.first, func(d Dot) bool {
		if d.Seq > s.last {
			return false
		}
		if claims == nil || claims.Has(d) {
			out.count++
			x.addDot(d)
			if s.list {
				out.live = append(out.live, d.Seq)
			}
		}
		return true
	})
	out.sum = x.print
	return out, err
}

// Answer answers a question of the receiver's Audit from the snapshot of the delta. Protocol.
func (d *Delta) Answer(question []byte) ([]byte, error) {
	const op = "namespace.Answer"
	var w []spanWire
	if err := wire.Unmarshal(question, &w); err != nil {
		return nil, err
	}
	if len(w) > maxSpans {
		return nil, errs.E(op, errs.Protocol, "spans", nil)
	}
	out := make([]sumWire, len(w))
	for i, x := range w {
		dec := decoder{b: x.Writer}
		s := span{order: x.Order, writer: dec.writer(), first: x.First, last: x.Last, list: x.List}
		if !dec.end() || s.order < 0 || s.order > 2 {
			return nil, errs.E(op, errs.Protocol, "span", nil)
		}
		sum, err := sumOf(d.snap, d.r, s, &d.end.Claims)
		if err != nil {
			return nil, errs.E(op, errs.Other, "", err)
		}
		out[i] = sumWire{Count: uint64(sum.count), Sum: sum.sum[:], Live: sum.live[:min(len(sum.live), maxListed)]}
	}
	return wire.Marshal(out), nil
}

// Fetch returns frames with live records that the receiver's Audit wants, batches included.
func (d *Delta) Fetch(wanted []Dot) (frames [][]byte, err error) {
	var items []item
	near := &session{batches: map[ident.Writer]*signedBatch{}}
	sent := map[ident.Writer]uint64{} // end of the last batch of a writer
	for _, dot := range wanted {
		num := slices.Index(d.t.writers, dot.Writer)
		if num < 0 {
			continue
		}
		b, err := d.r.batchOf(near, dot.Writer, dot.Seq)
		if err != nil {
			return nil, err
		}
		if id, ok := d.t.registerOf(dot); ok && b.count > 0 {
			v := d.t.held(id).Find(dot)
			if v == nil {
				continue
			}
			if sent[dot.Writer] != b.last() {
				sent[dot.Writer] = b.last()
				items = append(items, item{batch: b, hashes: true})
			}
			items = append(items, item{by: dot.Writer, record: d.r.record(id, v)})
		}
	}
	i := 0
	d.next = func() (item, bool) {
		if i == len(items) {
			return item{}, false
		}
		i++
		return items[i-1], true
	}
	for {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return nil, err
		}
		frames = append(frames, f)
	}
}
