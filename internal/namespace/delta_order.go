package namespace

import (
	"iter"
	"slices"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// ordered yields what the peer does not claim of placements, contents and attributes (S3). Those of
// each writer come in the order of their class, for progress counts on that; none comes before the
// place of the node that it is about, and no placement before the place of the directory that it
// names. Otherwise a session that is cut could hide what was moved into a directory of which the
// peer has not heard. Where the order of a writer, or of several, does not allow that, the
// directory's place goes along early, and comes again when it is its turn.
//
// What a writer said of a node beside its place follows at once, as far as that order allows: then
// the receiver writes most rows once. What others wrote of a register before it comes first: an edit
// hides a copy that it has not brought along, if another wrote that out.
func (d *Delta) ordered(writers []uint32, yield func(item) bool) bool {
	var streams []*stream
	by := map[ident.Writer]*stream{}
	for _, num := range writers {
		s := &stream{}
		by[d.t.writers[num]] = s
		for order, turn := range []*turn{&s.places, &s.rest} {
			next, stop := iter.Pull(func(yield func(item) bool) { d.dots(order, num, d.t.writers[num], yield) })
			defer stop()
			turn.next = next
			turn.advance()
		}
		streams = append(streams, s)
	}
	sent := map[ident.Writer]uint64{} // placements up to which number
	for {
		s := d.ready(streams, sent)
		if s == nil {
			break
		}
		it := s.places.item
		it.first = d.above(it.v.Place, sent)
		if !yield(it) {
			return false
		}
		sent[it.by] = it.v.Dot.Seq
		s.places.advance()
		for s.rest.more && s.places.follows(s.rest.item) && d.knows(s.rest.node, sent) && !s.rest.waits(by) {
			if !yield(s.rest.item) {
				return false
			}
			s.rest.advance()
		}
	}
	for {
		s := readyRest(streams, by)
		if s == nil {
			return d.err == nil
		}
		if !yield(s.rest.item) {
			return false
		}
		s.rest.advance()
	}
}

// stream is what one writer has to say: its placements, and its contents and attributes.
type stream struct{ places, rest turn }

// turn is the next of several.
type turn struct {
	item
	more bool
	next func() (item, bool)
}

func (t *turn) advance() { t.item, t.more = t.next() }

// follows reports whether the next comes after it, in the order in which they were written.
func (t *turn) follows(it item) bool { return t.more && it.v.Dot.Seq < t.v.Dot.Seq }

// waits reports whether another stream has yet to send what the writer of the next had seen when it
// covered that in the same register.
func (t *turn) waits(by map[ident.Writer]*stream) bool {
	for _, x := range t.v.Past.Vector {
		if s := by[x.Writer]; x.Writer != t.by && s != nil && s.rest.more && s.rest.v.Dot.Seq <= x.Seq {
			return true
		}
	}
	return false
}

// readyRest is the first of the streams whose next content or attribute waits for none; if each does,
// where a log has forked, the first that has one; nil at the end.
func readyRest(streams []*stream, by map[ident.Writer]*stream) (first *stream) {
	for _, s := range streams {
		if s.rest.more && !s.rest.waits(by) {
			return s
		}
		if s.rest.more && first == nil {
			first = s
		}
	}
	return first
}

// ready is the first of the streams whose next placement may be sent; if each waits for another,
// the first that has one; nil at the end.
func (d *Delta) ready(streams []*stream, sent map[ident.Writer]uint64) (first *stream) {
	if d.err != nil {
		return nil
	}
	for _, s := range streams {
		if s.places.more && d.knowsAbove(s.places.v.Place, sent) {
			return s
		}
		if s.places.more && first == nil {
			first = s
		}
	}
	return first
}

// above is the places of the directories above that the peer must be told first, topmost first.
func (d *Delta) above(p *merge.Place, sent map[ident.Writer]uint64) (out []item) {
	for len(out) < maxDepth && !d.knowsAbove(p, sent) {
		v := d.t.node(p.Parent).P.Winner()
		if slices.ContainsFunc(out, func(it item) bool { return it.v == v }) { // a cycle
			break
		}
		out = append(out, item{by: v.Dot.Writer, v: v, node: p.Parent, record: d.r.record(regID{node: p.Parent, kind: regPlace}, v)})
		p = v.Place
	}
	slices.Reverse(out)
	return out
}

// knowsAbove reports whether the peer knows the directory above, or nothing is known of it here.
func (d *Delta) knowsAbove(p *merge.Place, sent map[ident.Writer]uint64) bool {
	if p == nil || p.Parent == Root { // who cannot read it cannot tell
		return true
	}
	return d.knows(p.Parent, sent) || len(d.t.node(p.Parent).P) == 0
}

// knows reports whether the peer knows a node: it has been told of its place, or knew it before.
func (d *Delta) knows(n NodeID, sent map[ident.Writer]uint64) bool {
	x := d.t.node(n)
	known := func(v *merge.Version) bool { return d.theirs.Has(v.Dot) }
	told := func(v *merge.Version) bool {
		w := v.Dot.Writer
		return known(v) || max(sent[w], d.progress.upto(0, w)) >= v.Dot.Seq
	}
	return slices.ContainsFunc(x.P, told) || slices.ContainsFunc(x.C, known)
}
