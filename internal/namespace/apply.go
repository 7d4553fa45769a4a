package namespace

import (
	"context"
	"maps"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// applyStep is how many records are merged in one transaction: local operations wait for one.
const applyStep = 512

// session is what is remembered of a peer between its frames and Complete.
type session struct {
	open    bool                    // records were applied that are not claimed yet
	limits  map[ident.Writer]uint64 // nothing of a writer is claimed from here on
	batches map[ident.Writer]signedBatch
}

// Apply verifies one frame and merges its records; they show at once. A record or batch that
// fails a check is quarantined and never applied, the others are: the result is then of kind
// Corrupt, the session may go on, and Complete claims nothing from the bad one on. Protocol:
// the frame cannot be read at all.
func (r *Replica) Apply(ctx context.Context, from ident.DeviceID, bytes []byte) error {
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
	more, err := r.admit(s, f.batches)
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	bad = append(bad, more...)
	good, more, err := r.verify(s, f.records)
	if err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	bad = append(bad, more...)
	for len(good) > 0 {
		n := min(len(good), applyStep)
		if err := r.merge(op, good[:n]); err != nil {
			return err
		}
		s.open = true
		good = good[n:]
	}
	for _, b := range bad {
		r.refuse(from, b)
		old, ok := s.limits[b.writer]
		if _, known := r.heads[b.writer]; known && (!ok || b.from < old) { // of others nothing is claimed anyway
			s.limits[b.writer] = b.from
		}
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
		s = &session{limits: map[ident.Writer]uint64{}, batches: map[ident.Writer]signedBatch{}}
		r.sessions[from] = s
	}
	return s
}

// verified is a record that has passed all checks.
type verified struct {
	id regID
	v  *merge.Version
}

// merge inserts records in one transaction. What is claimed already is ignored: if it is not
// held it is dead (S4).
func (r *Replica) merge(op string, recs []verified) error {
	claims := r.Claims()
	return r.update(op, func(t *tx) error {
		t.remote = true
		for _, x := range recs {
			if !claims.Has(x.v.Dot) {
				t.insert(x.id, x.v)
			}
		}
		return nil
	})
}

// Complete says that all frames of a delta from this peer were applied: its claims become
// ours, durably, before it returns; the result is what we claim now, to be sent back.
func (r *Replica) Complete(ctx context.Context, from ident.DeviceID, theirs Claims) (Claims, error) {
	const op = "namespace.Complete"
	if err := ctx.Err(); err != nil {
		return Claims{}, errs.E(op, errs.Interrupted, "", err)
	}
	r.applying.Lock()
	theirs = r.believe(r.session(from), theirs)
	delete(r.sessions, from)
	r.applying.Unlock()

	r.sealing.Lock()
	defer r.sealing.Unlock()
	now := r.Claims()
	if now.Covers(theirs) {
		return now, nil
	}
	now = now.Join(theirs)
	b := r.cfg.DB.Batch()
	_ = b.Set(r.keys.state(stateClaims), EncodeClaims(now))
	if err := b.Commit(kv.Sync); err != nil {
		return Claims{}, errs.E(op, errs.Other, "", err)
	}
	r.setClaims(now)
	return now, nil
}

// believe cuts a peer's claims down to what its frames have shown: no further than each
// writer's signed chain is known here, and nothing from a refused record on. Needs applying.
func (r *Replica) believe(s *session, c Claims) Claims {
	var out Claims
	for _, d := range c.Vector {
		known := r.heads[d.Writer].last
		if d.Writer == r.self {
			continue // nobody knows better
		}
		d.Seq = min(d.Seq, known)
		if limit, ok := s.limits[d.Writer]; ok {
			d.Seq = min(d.Seq, max(limit, 1)-1)
		}
		if d.Seq > 0 {
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
	now := r.acks[peer].Join(theirs)
	same := r.acks[peer].Covers(theirs)
	r.mu.RUnlock()
	if same {
		return nil
	}
	b := r.cfg.DB.Batch()
	_ = b.Set(r.keys.ack(peer), EncodeClaims(now))
	if err := b.Commit(kv.NoSync); err != nil {
		return errs.E("namespace.Acknowledged", errs.Other, "", err)
	}
	r.mu.Lock()
	r.acks[peer] = now
	r.mu.Unlock()
	return nil
}

// Acks returns what each peer has acknowledged.
func (r *Replica) Acks() map[ident.DeviceID]Claims {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.acks)
}
