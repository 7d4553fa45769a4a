package namespace

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// A log that has forked, and whose device has left the share before it could say which side holds:
// nobody will say it any more, so neither does. The log ends where the sides part, and whoever holds
// more of it says that again as its own (S5). Where they part two devices find that have different
// sides; it is told in every greeting, and which sides were said again. Who is mute, a vault, keeps its
// side until one that is not has taken it from there and said it again.

// departed reports whether w's device was a member once and is none any more.
func (r *Replica) departed(w ident.Writer) bool {
	members := r.members()
	return len(members) > 0 && w.Device != r.cfg.Self && r.cfg.Known(w.Device) && !r.isMember(members, w.Device)
}

// sides tells a peer, of each log of a departed device of which it has another side, the end, and
// ends of ever fewer batches before it down to the first. Needs applying and mu.
func (r *Replica) sides(peer ident.DeviceID) (out []ChainEnd) {
	for _, w := range r.apart[peer] {
		num, ok := r.numberOf(w)
		if !ok || !r.departed(w) {
			continue
		}
		var first ChainEnd
		n, next := 0, 1
		if err := r.cfg.DB.ScanRange(kv.Range{Prefix: r.keys.batches(num), Reverse: true}, func(_ kv.Key, row []byte) bool {
			d := decoder{b: bytes.Clone(row)}
			s, err := d.signedBatch()
			if err != nil {
				return false
			}
			first = ChainEnd{w, s.last(), s.hash()}
			if n++; n == next {
				out = append(out, first)
				next *= 2
			}
			return true
		}); err == nil && n > 0 && n != next/2 {
			out = append(out, first)
		}
	}
	slices.SortFunc(out, func(a, b ChainEnd) int {
		return cmp.Or(merge.CompareWriters(a.Writer, b.Writer), cmp.Compare(a.Seq, b.Seq))
	})
	return out[:min(len(out), maxWriters)]
}

// ended is the end of such a log.
type ended struct {
	first uint64     // the first number that counts no more
	taken []ChainEnd // ends of the sides that somebody has said again
}

// maxTaken bounds the sides of one log.
const maxTaken = 256

func (e ended) has(x ChainEnd) bool { return slices.Contains(e.taken, x) }

// with joins what somebody else says of the same log.
func (e ended) with(first uint64, taken []ChainEnd) ended {
	if e.first == 0 || first > 0 && first < e.first {
		e.first = first
	}
	for _, x := range taken {
		if !e.has(x) && len(e.taken) < maxTaken {
			e.taken = append(slices.Clip(e.taken), x)
		}
	}
	return e
}

// endForks ends logs of departed devices: those that a peer which may write says have ended, those
// of which it has another side, and those of which that device has disowned another side than is here. Who
// cannot read all that it holds waits for a newer program. Needs applying.
func (r *Replica) endForks(from ident.DeviceID, h Hello) error {
	r.mu.RLock()
	line := r.line
	r.mu.RUnlock()
	if len(h.Ended)+len(h.Sides) == 0 && !line.forked() || r.holdsNewer() {
		return nil
	}
	ends := map[ident.Writer]ended{}
	for _, e := range h.Ended {
		switch {
		case r.departed(e.Writer) && (r.cfg.Writes(from) || r.heads[e.Writer].last < e.Seq): // else it could void what is here
			ends[e.Writer] = ended{first: e.Seq}
		case e.Writer.Device == r.cfg.Self: // it had left, and is back
			if err := r.resume(e); err != nil {
				return err
			}
		}
	}
	for _, x := range h.Taken {
		if e, ok := ends[x.Writer]; ok {
			ends[x.Writer] = e.with(0, []ChainEnd{x})
		}
	}
	if !r.mute() {
		parted, err := r.partings(h.Sides)
		if err != nil {
			return err
		}
		for w, first := range parted {
			ends[w] = ends[w].with(first, nil)
		}
		for w, h := range r.heads {
			if first := line.parted(w); first > 0 && first <= h.last && first != line.ended[w].first && r.departed(w) {
				ends[w] = ends[w].with(first, nil)
			}
		}
	}
	for _, w := range slices.SortedFunc(maps.Keys(ends), merge.CompareWriters) {
		if err := r.endLog(w, ends[w], false); err != nil {
			return err
		}
	}
	return nil
}

// takeSides notes of which ended logs a peer has a side that nobody has said again, and that it cannot
// say itself: the session brings it. Needs applying.
func (r *Replica) takeSides(s *session, h Hello) {
	s.taking = nil
	if !h.Mute || r.mute() {
		return
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, x := range h.Ends {
		if e, ok := r.line.ended[x.Writer]; ok && x.Seq >= e.first && !e.has(x) {
			s.taking = append(s.taking, x.Writer)
		}
	}
}

// sayTaken says again what a session has brought of ended logs. Needs applying.
func (r *Replica) sayTaken(s *session) error {
	for _, w := range s.taking {
		if err := r.endLog(w, ended{}, true); err != nil {
			return err
		}
	}
	return nil
}

// resume writes again what others have ended of a log of this device. Needs applying.
func (r *Replica) resume(end Dot) error {
	last := r.heads[end.Writer].last
	if end.Writer == r.self {
		last = r.ownEnd()
	}
	if last < end.Seq {
		return nil
	}
	r.reborn.Add(-1) // that counts those which nobody asked for
	return r.reincarnate(end.Writer, end.Seq-1, true)
}

// partings finds where logs of departed devices part from what a peer has of them: the first number
// that may differ.
func (r *Replica) partings(sides []ChainEnd) (map[ident.Writer]uint64, error) {
	common := map[ident.Writer]uint64{}
	for _, x := range sides { // ascending
		if !r.departed(x.Writer) {
			continue
		}
		same, err := r.goesThrough(x.Writer, LogEnd{x.Writer.Incarnation, x.Seq, x.Hash})
		if err != nil {
			return nil, err
		}
		if same {
			common[x.Writer] = x.Seq
		} else {
			common[x.Writer] += 0 // of a log that parts from the first batch on
		}
	}
	parted := map[ident.Writer]uint64{}
	for w, seq := range common {
		if r.heads[w].last > seq {
			parted[w] = seq + 1
		}
	}
	return parted, nil
}

// endLog learns of the end of a log. What is held of it beyond is dropped, and said again as this
// device's own; who is mute keeps it until somebody else has done so. all: that is all that a mute one
// has, whatever it claims. Needs applying.
func (r *Replica) endLog(w ident.Writer, x ended, all bool) error {
	r.sealing.Lock()
	defer r.sealing.Unlock()
	r.writing.Lock()
	defer r.writing.Unlock()
	line := r.line.clone()
	was := line.ended[w]
	end := was.with(x.first, x.taken)
	h := r.heads[w]
	side := ChainEnd{w, h.last, h.hash}
	over := h.last >= end.first && (!r.mute() || end.has(side))
	if over && (all || r.claims.Upto(w) >= h.last) {
		end = end.with(0, []ChainEnd{side})
	}
	line.ended[w] = end
	switch {
	case over:
	case end.first == was.first && len(end.taken) == len(was.taken):
		return nil
	default:
		return r.saveLineage(line)
	}
	first := end.first
	part := &logPart{writer: w, common: first - 1}
	if err := r.cutLog(part); err != nil {
		return err
	}
	t := r.reader()
	t.changes = newChanges()
	t.next, t.author = r.next, r.self
	claims, err := r.writeAgain(t, []*logPart{part}, true)
	if err != nil {
		return err
	}
	t.also = func(b *kv.Batch) { r.dropParts(b, []*logPart{part}, claims, line) }
	if err := r.commit("namespace.endLog", t); err != nil {
		return err
	}
	r.mu.Lock()
	r.line, r.claims = line, claims
	r.mu.Unlock()
	r.shorten(w, part.end, len(part.drop) > 0)
	clear(r.sessions)
	clear(r.agreed)
	r.forgetDifferences()
	r.news.Add(1)
	r.log.Warn("namespace: a device that has left was a copied one: its log is taken up to where others have another",
		"device", w.Device.Short(), "after", part.end.last, "said again", len(t.written))
	return r.cfg.DB.Sync()
}
