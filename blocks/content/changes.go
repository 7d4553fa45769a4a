package content

import (
	"cmp"
	"slices"
	"sort"

	"github.com/shelffs/shelf/blocks"
)

// Range is a stretch of the new file that differs, or may differ, from the old one. Zero
// tells that all its bytes are zero and need not be read: a punched hole, or what a
// truncation upwards added. Block names the data block that holds exactly its bytes: it is
// taken over, unless another Range or the file's end leaves but a part of it. Parts beyond
// the new file's end are ignored.
type Range struct {
	Off, Len uint64
	Zero     bool
	Block    blocks.Ref
}

func (r Range) end() uint64 { return r.Off + min(r.Len, ^uint64(0)-r.Off) }

// span is a normalised Range: not empty, inside the file, overlapping no other.
type span struct {
	off, end uint64
	zero     bool
	block    blocks.Ref
}

// read reports whether the bytes of s have to be read.
func (s span) read() bool { return !s.zero && s.block.IsHole() }

// changes are spans in order. Between them the new file is the old one.
type changes []span

// newChanges makes spans of the given ranges, for a file of size bytes whose old bytes end
// at oldSize. Where a zero range overlaps another, the bytes are read; so are zero ranges
// shorter than a unit. What lies beyond the old end and is in no range is zero.
func newChanges(ranges []Range, oldSize, size uint64) changes {
	var data, zero, known []span
	for _, r := range ranges {
		s := span{min(r.Off, size), min(r.end(), size), r.Zero, r.Block}
		switch {
		case s.off == s.end:
		case r.Zero:
			zero = append(zero, s)
		case r.Block.IsHole():
			data = append(data, s)
		case r.end() > size:
			data = append(data, span{off: s.off, end: s.end})
		default:
			known = append(known, s)
		}
	}
	if size > oldSize {
		zero = append(zero, span{off: oldSize, end: size, zero: true})
	}
	others := join(append(data, known...))
	all := slices.Clone(others)
	for _, z := range join(zero) {
		for _, gap := range without(z, others) {
			gap.zero = gap.end-gap.off >= unit
			all = append(all, gap)
		}
	}
	return join(all)
}

// join sorts spans and joins those of one kind that touch, or overlap: a block of which another leaves but a
// part is joined to what is read. Zeros must not overlap others.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.off, b.off) })
	out := spans[:0]
	for _, s := range spans {
		n := len(out)
		switch {
		case n == 0 || s.off > out[n-1].end:
			out = append(out, s)
		case s.off < out[n-1].end, s.zero == out[n-1].zero && s.read() == out[n-1].read() && s.block.IsHole():
			out[n-1].end, out[n-1].block = max(out[n-1].end, s.end), blocks.Ref{}
		default:
			out = append(out, s)
		}
	}
	return out
}

// without returns the parts of s that no span of the sorted, disjoint holes covers.
func without(s span, holes []span) []span {
	var out []span
	i := sort.Search(len(holes), func(i int) bool { return holes[i].end > s.off })
	for ; i < len(holes) && holes[i].off < s.end; i++ {
		if holes[i].off > s.off {
			out = append(out, span{off: s.off, end: holes[i].off, zero: s.zero})
		}
		s.off = max(s.off, min(holes[i].end, s.end))
	}
	if s.off < s.end {
		out = append(out, s)
	}
	return out
}

// at returns the first span that ends behind off, and whether off lies in it. Without one
// it is an empty span at the far end of all offsets.
func (c changes) at(off uint64) (span, bool) {
	i := sort.Search(len(c), func(i int) bool { return c[i].end > off })
	if i == len(c) {
		return span{off: ^uint64(0), end: ^uint64(0)}, false
	}
	return c[i], c[i].off <= off
}

// nextUnread returns where the first span at or behind off begins that is not read, at most limit.
func (c changes) nextUnread(off, limit uint64) uint64 {
	i := sort.Search(len(c), func(i int) bool { return c[i].end > off })
	for ; i < len(c) && c[i].off < limit; i++ {
		if !c[i].read() {
			return max(c[i].off, off)
		}
	}
	return limit
}
