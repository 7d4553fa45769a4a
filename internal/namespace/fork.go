package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// A log has forked when two stores of one device, its disk and a copy or an older image of it, have
// written under the same numbers, and others know the one or the other. That device alone can say
// which side is void (restored.go, disown.go), as soon as it meets who holds the other. This is what
// everybody else does until then.

// forked: a peer holds another log of a writer than the one here. If it is a closed one of this
// device, the doubt will show where they part; otherwise that device will have to say which holds
// (disown). Until then nothing that the peer claims of it says anything about what is here. Needs
// applying.
func (r *Replica) forked(from ident.DeviceID, w ident.Writer) error {
	if w.Device == r.cfg.Self {
		return r.raiseDoubt(from, w)
	}
	r.setApart(from, w)
	return nil
}

// setApart notes that a peer holds another side. Needs applying.
func (r *Replica) setApart(from ident.DeviceID, w ident.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.apart[from], w) {
		r.apart[from] = append(r.apart[from], w)
		if r.anew(from) { // it was put back: this session left out what came from it before
			r.session(from).spoiled = true
		}
	}
}

// agree notes that a peer's log of a writer was the same as here up to d. It is not kept over a
// restart: then less is known. Needs applying.
func (r *Replica) agree(from ident.DeviceID, d Dot) {
	r.agreed[from] = r.agreed[from].Raise(d)
}

// undecided are the logs of which a peer holds another side than is here, while there is somebody who will
// say which holds, or they are to end (endForks). Needs mu.
func (r *Replica) undecided(peer ident.DeviceID) []ident.Writer {
	if len(r.apart[peer]) == 0 {
		return nil
	}
	members := r.members()
	return slices.DeleteFunc(slices.Clone(r.apart[peer]), func(w ident.Writer) bool {
		return !r.isMember(members, w.Device) && !r.departed(w)
	})
}

// otherSideOf tells which dots may mean another write with a peer, or have until a fork ended amid its session: that a
// record is not what is signed here then says nothing against anybody. Needs applying.
func (r *Replica) otherSideOf(peer ident.DeviceID) func(Dot) bool {
	r.mu.RLock()
	line, apart := r.line, slices.Clone(r.apart[peer])
	r.mu.RUnlock()
	return func(d Dot) bool {
		_, over := line.ended[d.Writer] // its batch may begin before the end
		return d.Writer.Device == r.cfg.Self || over || line.behindFork(d) || slices.Contains(apart, d.Writer)
	}
}

// thisSide leaves out what a peer's records have built on its side of a fork: by its number, what
// they have overwritten there may be something else here, which would be gone, and not only here, for
// this device would pass them on. It all comes again, until the writer's device has said which side
// holds or is no member any more. So does what is built on what the peer has of this device's own log in
// doubt, which comes in another session. Needs applying.
func (r *Replica) thisSide(from ident.DeviceID, s *session, recs []verified) []verified {
	r.mu.RLock()
	apart := r.undecided(from)
	r.mu.RUnlock()
	agreed := r.agreed[from]
	copied := slices.ContainsFunc(apart, func(w ident.Writer) bool { return w.Device != r.cfg.Self })
	if s.skip != (ident.Writer{}) {
		apart, agreed = append(apart, s.skip), agreed.Raise(Dot{Writer: s.skip, Seq: s.common})
	}
	if len(apart) == 0 {
		return recs
	}
	return slices.DeleteFunc(recs, func(x verified) bool {
		past := Claims{Vector: x.v.Past.Vector}
		built := slices.ContainsFunc(apart, func(w ident.Writer) bool { return past.Upto(w) > agreed.Upto(w) })
		if built && !s.spoiled {
			s.spoiled = true
			if copied {
				r.log.Warn("namespace: a copied device has to be online before all that another has can be taken", "from", from.Short())
			}
		}
		return built
	})
}

// parted is where a log has forked, of which its device has disowned a side, or that has ended: the first
// number in question; 0: nowhere.
func (l *lineage) parted(w ident.Writer) (first uint64) {
	first = l.ended[w].first
	for _, c := range l.cuts(w.Device) {
		if c.Incarnation == w.Incarnation && (first == 0 || c.First < first) {
			first = c.First
		}
	}
	return first
}

// behindFork reports whether d lies behind where its log has forked.
func (l *lineage) behindFork(d Dot) bool {
	first := l.parted(d.Writer)
	return first > 0 && d.Seq >= first
}

// beforeForks is c without what lies behind a fork. That is written again under numbers of its own, before its device
// has audited with everybody.
func (l *lineage) beforeForks(c Claims) Claims {
	if !l.forked() {
		return c
	}
	for _, d := range c.Vector {
		if first := l.parted(d.Writer); first > 0 && first <= d.Seq {
			if c = c.Without(d.Writer); first > 1 {
				c = c.Raise(Dot{Writer: d.Writer, Seq: first - 1})
			}
		}
	}
	return c
}

// doubtful tells of which dots a past says nothing, because others may mean the other side of a fork by them; nil:
// of none. What one side wrote is so not hidden by what was built on the other, until its device has written it
// again (otherSides).
func (r *Replica) doubtful() func(Dot) bool {
	r.mu.RLock()
	line := r.line
	r.mu.RUnlock()
	if !line.forked() {
		return nil
	}
	return line.behindFork
}

// forked reports whether anybody has disowned anything, or a log has ended.
func (l *lineage) forked() bool {
	if len(l.ended) > 0 {
		return true
	}
	for _, x := range l.newest {
		if len(x.Cuts) > 0 {
			return true
		}
	}
	return len(l.older) > 0
}

// otherSides writes again what a session has brought of another side of a fork than this device has disowned, or what
// another store of this device has not: by its numbers pasts mean either. Needs applying.
func (r *Replica) otherSides() error {
	for !r.inDoubt() {
		log, first := r.otherSide()
		if first == 0 {
			return nil
		}
		if err := r.reincarnate(log, first-1, true); err != nil {
			return err
		}
		r.reborn.Add(-1) // that counts those which nobody asked for
	}
	return nil
}

// otherSide is an older log of this device of which all that somebody has is held from where it has forked on, and
// where that is. Each part that came would begin an incarnation otherwise.
func (r *Replica) otherSide() (log ident.Writer, first uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, c := range r.line.cuts(r.cfg.Self) {
		log = ident.Writer{Device: r.cfg.Self, Incarnation: c.Incarnation}
		first = r.line.parted(log)
		if last := r.heads[log].last; log != r.self && last >= first && last <= r.claims.Upto(log) {
			return log, first
		}
	}
	return log, 0
}

// holdsDoubtful reports whether something is held that its device has yet to write again. Needs applying and mu.
func (r *Replica) holdsDoubtful() bool {
	if !r.line.forked() {
		return false
	}
	for w, h := range r.heads {
		if r.line.behindFork(Dot{Writer: w, Seq: h.last}) {
			return true
		}
	}
	return false
}
