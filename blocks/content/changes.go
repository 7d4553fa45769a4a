package content

import (
	"cmp"
	"slices"
	"sort"
)

// Range is a stretch of the new file that differs, or may differ, from the old one. Zero
// tells that all its bytes are zero and need not be read: a punched hole, or what a
// truncation upwards added. Parts beyond the new file's end are ignored.
type Range struct {
	Off, Len uint64
	Zero     bool
}

func (r Range) end() uint64 { return r.Off + min(r.Len, ^uint64(0)-r.Off) }

// span is a normalised Range: not empty, inside the file, overlapping no other.
type span struct {
	off, end uint64
	zero     bool
}

// changes are spans in order. Between them the new file is the old one.
type changes []span

// newChanges makes spans of the given ranges, for a file of size bytes whose old bytes end
// at oldSize. Where a zero range overlaps another, the bytes are read; so are zero ranges
// shorter than a unit. What lies beyond the old end and is in no range is zero.
func newChanges(ranges []Range, oldSize, size uint64) changes {
	var data, zero []span
	for _, r := range ranges {
		s := span{min(r.Off, size), min(r.end(), size), r.Zero}
		if s.off == s.end {
			continue
		}
		if r.Zero {
			zero = append(zero, s)
		} else {
			data = append(data, s)
		}
	}
	if size > oldSize {
		zero = append(zero, span{oldSize, size, true})
	}
	data = join(data)
	all := slices.Clone(data)
	for _, z := range join(zero) {
		for _, gap := range without(z, data) {
			gap.zero = gap.end-gap.off >= unit
			all = append(all, gap)
		}
	}
	return join(all)
}

// join sorts spans and joins those of one kind that touch. Spans of different kinds must
// not overlap.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.off, b.off) })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].zero == s.zero && s.off <= out[n-1].end {
			out[n-1].end = max(out[n-1].end, s.end)
		} else {
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
			out = append(out, span{s.off, holes[i].off, s.zero})
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

// nextZero returns where the first zero span at or behind off begins, at most limit.
func (c changes) nextZero(off, limit uint64) uint64 {
	i := sort.Search(len(c), func(i int) bool { return c[i].end > off })
	for ; i < len(c) && c[i].off < limit; i++ {
		if c[i].zero {
			return max(c[i].off, off)
		}
	}
	return limit
}
