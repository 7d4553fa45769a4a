package namespace

import (
	"context"
	"errors"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// applyStep is how many records are merged in one transaction: local operations wait for one.
const applyStep = 512

// session is what is remembered of a peer between its frames and Complete.
type session struct {
	theirs  Claims                  // what the peer claimed when it was heard
	run     uint64                  // which of its runs that was
	doubts  bool                    // the peer knows another log of this device than the one here
	common  uint64                  // … as its batches show, the same up to here
	parted  bool                    // … and not further
	skip    ident.Writer            // the log so compared: its records come in another session
	limits  map[ident.Writer]uint64 // nothing of a writer is claimed from here on
	spoiled bool                    // what was refused may have been any record: nothing is claimed
	garbled bool                    // … and was not only of another side of a fork
	batches map[ident.Writer]*signedBatch
	taking  []ident.Writer // ended logs of which it brings a side to be said again
}

// Apply verifies one frame and merges its records; they show at once. A record or batch that
// fails a check is quarantined and never applied, the others are: the result is then of kind
// Corrupt, the session may go on, and Complete claims nothing from the bad one on. Who signed
// something invalid is frozen (freeze.go). Protocol: the frame cannot be read at all.
func (r *Replica) Apply(ctx context.Context, from ident.DeviceID, bytes []byte) error {
	return r.apply(ctx, from, bytes, false)
}

// apply is Apply; with repair what is claimed is merged all the same.
func (r *Replica) apply(ctx context.Context, from ident.DeviceID, bytes []byte, repair bool) error {
	const op = "namespace.Apply"
	if err := ctx.Err(); err != nil {
		return errs.E(op, errs.Interrupted, "", err)
	}
	f, err := parseFrame(bytes)
	if err != nil {
		return err
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	s := r.session(from)
	bad := f.bad
	heads, more, err := r.admit(from, s, f.batches)
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	bad = append(bad, more...)
	good, more, err := r.verify(s, f.records, repair)
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if len(good) > 0 && r.inDoubt() {
		if err := r.endDoubt(s, s.theirs); err != nil {
			return err
		}
		if r.inDoubt() {
			return errs.E(op, errs.Stale, "this device's log", nil)
		}
	}
	bad = append(bad, more...)
	otherSide := r.otherSideOf(from)
	for _, b := range bad {
		if !b.forked || !otherSide(Dot{Writer: b.writer, Seq: b.from}) {
			r.refuse(from, b)
			s.garbled = s.garbled || !b.named && !b.signed
		}
		old, ok := s.limits[b.writer]
		if _, known := r.heads[b.writer]; known && (!ok || b.from < old) { // of others nothing is claimed anyway
			s.limits[b.writer] = b.from
		}
		s.spoiled = s.spoiled || !b.named && !b.signed
		if b.signed && errs.Is(b.err, errs.Corrupt) {
			if err := r.freeze(b); err != nil {
				return errs.E(op, errs.Other, "", err)
			}
		}
	}
	r.arrived(from, s, heads)
	good = r.thisSide(from, s, r.unfrozen(good))
	for len(good) > 0 {
		n := min(len(good), applyStep)
		done, held, err := r.merge(op, s, good[:n], repair)
		if err != nil {
			return err
		}
		if err := r.heldBack(s, held); err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		if err := r.advance(from, s, done); err != nil {
			return errs.E(op, errs.Other, "", err)
		}
		good = good[n:]
	}
	if len(bad) > 0 {
		return errs.E(op, errs.Corrupt, from.Short(), bad[0].err)
	}
	return nil
}

// session needs applying.
func (r *Replica) session(from ident.DeviceID) *session {
	s := r.sessions[from]
	if s == nil {
		s = &session{limits: map[ident.Writer]uint64{}, batches: map[ident.Writer]*signedBatch{}}
		r.sessions[from] = s
	}
	return s
}

// verified is a record that has passed all checks.
type verified struct {
	id    regID
	v     *merge.Version
	early bool // before its turn: see Delta.ordered
}

// behindRefused reports whether something was refused in this session that d may rely on. It comes
// again in another one: nothing of its writer from what was refused on is claimed.
func (s *session) behindRefused(d Dot) bool {
	limit, limited := s.limits[d.Writer]
	return s.spoiled || limited && d.Seq >= limit
}

// mayHide reports whether x, without a record that should have come before (S3), could hide what is
// shown: a removal without the copies that it wrote out (N8), a copy without its place, a move into a
// directory without one.
func (t *tx) mayHide(x verified) bool {
	lies := func(id NodeID) bool { return id == Root || len(t.node(id).P) > 0 }
	switch {
	case t.r.blind():
		return false
	case x.v.Class == merge.Nothing:
		return true
	case x.v.Class == merge.Placed:
		return x.v.Place != nil && !lies(x.v.Place.Parent)
	}
	return !lies(x.id.node)
}

// replaces reports whether x takes the place of bytes that are held: those of a conflict copy may have
// been written out before (N7), by what is missing.
func (t *tx) replaces(x verified) bool {
	return x.id.kind == regBytes && !t.r.blind() && slices.ContainsFunc(t.held(x.id), func(u *merge.Version) bool {
		return u.Class != merge.Nothing && x.v.Past.Has(u.Dot)
	})
}

// merge inserts records in one transaction, except those that the brake holds back or that could hide
// something behind what was refused. What is claimed already is ignored: if it is not held it is dead (S4).
func (r *Replica) merge(op string, s *session, recs []verified, repair bool) (done, held []verified, err error) {
	claims := r.Claims()
	err = r.transact(op, func(t *tx) error {
		t.remote, t.doubtful = true, r.doubtful()
		t.expect(recs)
		for _, x := range recs {
			switch {
			case !repair && claims.Has(x.v.Dot):
			case !repair && !r.passes(t, x):
				held = append(held, x)
				continue
			case !repair && (s.behindRefused(x.v.Dot) && t.mayHide(x) || s.garbled && t.replaces(x)):
				continue
			case !repair && s.skip != (ident.Writer{}) && t.mayHide(x): // behind what this device wrote, and lost, perhaps
				s.spoiled = true
				continue
			default:
				t.insert(x.id, x.v)
			}
			done = append(done, x)
		}
		return nil
	})
	return done, held, err
}

// End closes a session: what the receiver may claim when it has applied all frames, and what
// each device has acknowledged, as far as the sender knows. It travels as CBOR.
type End struct {
	Claims Claims
	Acks   map[ident.DeviceID]Ack
	Partly bool // nothing was sent but the receiver's log in doubt: the sender's is in doubt, too
}

// Ack is what a device durably claims, said by one of its incarnations: a newer one voids it.
type Ack struct {
	Incarnation uint32
	Claims      Claims
}

// Complete says that all frames of a delta from this peer were applied: what it claims becomes
// ours, durably, before it returns; the result is what we claim now, to be sent back. A
// session with a peer that knew more of this device's own log ends the doubt about it.
func (r *Replica) Complete(ctx context.Context, from ident.DeviceID, end End) (Claims, error) {
	const op = "namespace.Complete"
	if err := ctx.Err(); err != nil {
		return Claims{}, errs.E(op, errs.Interrupted, "", err)
	}
	// The result acknowledges: whoever collects removals by it must know what was done here
	// before, or it would forget a directory in which something was just put.
	if err := r.flush(); err != nil {
		return Claims{}, err
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	s := r.session(from)
	theirs := r.believe(s, end.Claims)
	known := end.Claims
	if end.Partly {
		known = s.theirs
	}
	if err := r.endDoubt(s, known); err != nil {
		return Claims{}, err
	}
	delete(r.sessions, from)
	if s.doubts && r.inDoubt() { // only this peer can show why
		r.session(from).doubts = true
	}
	if s.skip != (ident.Writer{}) && !r.inDoubt() {
		r.news.Add(1) // what was left out comes in another session
	}
	if end.Partly {
		return r.Claims(), nil
	}
	if err := r.adopt(from, theirs, end.Acks); err != nil {
		return Claims{}, err
	}
	if err := errors.Join(r.otherSides(), r.settleAside(), r.sayTaken(s)); err != nil {
		return Claims{}, err
	}
	delete(r.unfinished, from)
	return r.Claims(), nil
}

// adopt makes a peer's claims this replica's own, and notes who has acknowledged what. Needs
// applying.
func (r *Replica) adopt(from ident.DeviceID, theirs Claims, acks map[ident.DeviceID]Ack) error {
	r.sealing.Lock()
	defer r.sealing.Unlock()
	was := r.Claims()
	now := was.Join(theirs)
	r.mu.RLock()
	ack := Ack{r.line.current(from), theirs}
	r.mu.RUnlock()
	b := r.cfg.DB.Batch()
	defer b.Close()
	for dev, a := range acks {
		if dev != from && dev != r.cfg.Self && r.cfg.Known(dev) {
			r.acknowledge(b, dev, a)
		}
	}
	r.acknowledge(b, from, ack)
	if was.Covers(now) && r.unfinished[from] == nil {
		if err := b.Commit(kv.NoSync); err != nil {
			return errs.E("namespace.Complete", errs.Other, "", err)
		}
		return nil
	}
	_ = b.Set(r.keys.state(stateClaims), EncodeClaims(now))
	_ = b.Delete(r.keys.progress(from))
	if err := b.Commit(kv.Sync); err != nil {
		return errs.E("namespace.Complete", errs.Other, "", err)
	}
	if !was.Covers(now) {
		r.setClaims(now)
	}
	return nil
}

// believe cuts a peer's claims down to what its frames have shown: no further than each
// writer's signed chain is known here, and nothing from a refused record on; nothing at all if
// what was refused does not prove to be what it says it is, for then it stands for some other
// record, which is missing. Needs applying.
func (r *Replica) believe(s *session, c Claims) Claims {
	var out Claims
	if s.spoiled {
		return out
	}
	bound := func(w ident.Writer) uint64 {
		if w == r.self || w == r.logInDoubt() || w == s.skip {
			return 0 // nobody knows better, or it was left out
		}
		known := r.heads[w].last
		if limit, ok := s.limits[w]; ok {
			known = min(known, max(limit, 1)-1)
		}
		if limit, ok := r.limit(w); ok {
			known = min(known, limit-1)
		}
		if h, ok := r.brakes.held[w]; ok { // also what came in an earlier delta, and is not sent again in this one
			known = min(known, h.From-1)
		}
		return known
	}
	for _, d := range c.Vector {
		if d.Seq = min(d.Seq, bound(d.Writer)); d.Seq > 0 {
			out.Vector = append(out.Vector, d)
		}
	}
	return out
}

// Acknowledged stores what a peer says it durably claims.
func (r *Replica) Acknowledged(peer ident.DeviceID, theirs Claims) error {
	r.sealing.Lock()
	defer r.sealing.Unlock()
	r.mu.RLock()
	a := Ack{r.line.current(peer), theirs}
	r.mu.RUnlock()
	b := r.cfg.DB.Batch()
	r.acknowledge(b, peer, a)
	if err := b.Commit(kv.NoSync); err != nil {
		return errs.E("namespace.Acknowledged", errs.Other, "", err)
	}
	return nil
}

// acknowledge joins what an incarnation of a device has acknowledged to what is known of it.
// Needs sealing.
func (r *Replica) acknowledge(b *kv.Batch, dev ident.DeviceID, a Ack) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.acks[dev]
	switch {
	case a.Incarnation < max(old.Incarnation, r.line.current(dev)):
		return
	case a.Incarnation == old.Incarnation:
		if old.Claims.Covers(a.Claims) {
			return
		}
		a.Claims = old.Claims.Join(a.Claims)
	}
	r.acks[dev] = a
	_ = b.Set(r.keys.ack(dev), encodeAck(a))
}

// Acks returns what the present incarnation of each peer has acknowledged.
func (r *Replica) Acks() map[ident.DeviceID]Claims {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make(map[ident.DeviceID]Claims, len(r.acks))
	for dev, a := range r.acks {
		if a.Incarnation == r.line.current(dev) {
			out[dev] = a.Claims
		}
	}
	return out
}
