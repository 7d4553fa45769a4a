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
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.apart[from], w) {
		r.apart[from] = append(r.apart[from], w)
	}
	return nil
}

// agree notes that a peer's log of a writer was the same as here up to d. It is not kept over a
// restart: then less is known. Needs applying.
func (r *Replica) agree(from ident.DeviceID, d Dot) {
	r.agreed[from] = r.agreed[from].Raise(d)
}

// undecided are the logs of which a peer holds another side than is here, while there is somebody who will
// say which holds. Needs mu.
func (r *Replica) undecided(peer ident.DeviceID) []ident.Writer {
	if len(r.apart[peer]) == 0 {
		return nil
	}
	members := r.members()
	return slices.DeleteFunc(slices.Clone(r.apart[peer]), func(w ident.Writer) bool { return !r.isMember(members, w.Device) })
}

// thisSide leaves out what a peer's records have built on its side of a fork: by its number, what
// they have overwritten there may be something else here, which would be gone, and not only here, for
// this device would pass them on. It all comes again, until the writer's device has said which side
// holds or is no member any more. Needs applying.
func (r *Replica) thisSide(from ident.DeviceID, s *session, recs []verified) []verified {
	r.mu.RLock()
	apart := r.undecided(from)
	r.mu.RUnlock()
	if len(apart) == 0 {
		return recs
	}
	agreed := r.agreed[from]
	return slices.DeleteFunc(recs, func(x verified) bool {
		past := Claims{Vector: x.v.Past.Vector}
		built := slices.ContainsFunc(apart, func(w ident.Writer) bool { return past.Upto(w) > agreed.Upto(w) })
		if built && !s.spoiled {
			s.spoiled = true
			r.log.Warn("namespace: a copied device has to be online before all that another has can be taken", "from", from.Short())
		}
		return built
	})
}

// partedToo writes again, under a new incarnation, what this store has of a fork of which another store
// of this device says just now that it has disowned its own side: else what was built on that would
// cover what was written here under the same numbers. If it is this side that was disowned, the other
// store has written it again; but where the peer, with these claims, has nothing of that, that store may
// be gone with it, an image of this one having been put in its place. Of a side that is longer with the
// peer nothing is disowned: this disk was put back, too, and what it lacks nobody could write again.
// Needs applying.
func (r *Replica) partedToo(said []Incarnation, theirs Claims) error {
	r.mu.RLock()
	line := r.line
	r.mu.RUnlock()
	for _, x := range said {
		if x.Writer.Device != r.cfg.Self || !line.news(x) || !r.signed(x) {
			continue
		}
		for _, c := range x.Cuts {
			if slices.Contains(line.cuts(r.cfg.Self), c) {
				continue // by this store, perhaps: what is here is the side that holds
			}
			log := ident.Writer{Device: r.cfg.Self, Incarnation: c.Incarnation}
			b, err := r.batchAt(log, c.First)
			if err != nil {
				return err
			}
			if b != nil && (b.hash() != c.Hash || theirs.Upto(x.Writer) == 0) {
				end := r.heads[log].last
				if log == r.self {
					end = r.ownEnd()
				}
				return r.reincarnate(log, c.First-1, theirs.Upto(log) <= end || b.hash() == c.Hash)
			}
		}
	}
	return nil
}
