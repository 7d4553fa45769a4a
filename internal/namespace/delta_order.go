package namespace

import (
	"iter"
	"slices"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// placements yields the placements that the peer does not claim: those of each writer in order,
// for progress counts on that, and none before the place of the directory that it names.
// Otherwise a session that is cut could hide what was moved into a directory of which the peer has
// not heard. Where the order of a writer, or of several, does not allow that, the directory's place
// goes along, and comes again when it is its turn.
func (d *Delta) placements(order []uint32, yield func(item) bool) bool {
	var streams []*placementStream
	for _, num := range order {
		next, stop := iter.Pull(func(yield func(item) bool) { d.dots(0, num, d.t.writers[num], yield) })
		defer stop()
		s := &placementStream{next: next}
		s.advance()
		streams = append(streams, s)
	}
	sent := map[ident.Writer]uint64{} // up to which number
	for {
		s := d.ready(streams, sent)
		if s == nil || d.err != nil {
			return d.err == nil
		}
		it := s.head
		it.first = d.above(it.v.Place, sent)
		if !yield(it) {
			return false
		}
		sent[s.head.by] = s.head.v.Dot.Seq
		s.advance()
	}
}

// placementStream is one writer's placements, of which head is the next.
type placementStream struct {
	next func() (item, bool)
	head item
	more bool
}

func (s *placementStream) advance() { s.head, s.more = s.next() }

// ready is the first of the streams whose next placement may be sent; if each waits for another,
// the first that has one; nil at the end.
func (d *Delta) ready(streams []*placementStream, sent map[ident.Writer]uint64) (first *placementStream) {
	for _, s := range streams {
		if s.more && d.knowsAbove(s.head.v.Place, sent) {
			return s
		}
		if s.more && first == nil {
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
		out = append(out, item{by: v.Dot.Writer, v: v, record: d.r.record(regID{node: p.Parent, kind: regPlace}, v)})
		p = v.Place
	}
	slices.Reverse(out)
	return out
}

// knowsAbove reports whether the peer knows the directory above: it has been told of its place, or
// knew the directory before.
func (d *Delta) knowsAbove(p *merge.Place, sent map[ident.Writer]uint64) bool {
	if p == nil || p.Parent == Root { // who cannot read it cannot tell
		return true
	}
	above := d.t.node(p.Parent)
	known := func(v *merge.Version) bool { return d.theirs.Has(v.Dot) }
	told := func(v *merge.Version) bool {
		w := v.Dot.Writer
		return known(v) || max(sent[w], d.progress.upto(0, w)) >= v.Dot.Seq
	}
	return slices.ContainsFunc(above.P, told) || slices.ContainsFunc(above.C, known) || len(above.P) == 0
}
