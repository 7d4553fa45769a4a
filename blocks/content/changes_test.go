package content

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The spans say of each byte what the ranges say, one byte at a time.
func TestChangesAgainstBytes(t *testing.T) {
	const same, data, zero, known = 0, 1, 2, 3
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		size, old := r.Uint64N(9*unit), r.Uint64N(9*unit)
		want := make([]byte, size)
		for i := old; i < size; i++ {
			want[i] = zero
		}
		var rs []Range
		for range r.IntN(8) {
			x := Range{Off: r.Uint64N(9 * unit), Len: r.Uint64N(3 * unit), Zero: r.IntN(2) == 0}
			if r.IntN(20) == 0 {
				x.Len = ^uint64(0)
			}
			if !x.Zero && r.IntN(2) == 0 {
				x.Block.Digest[0] = byte(1 + len(rs))
			}
			rs = append(rs, x)
		}
		alone := func(x Range) bool { // no other leaves but a part of it
			return x.end() <= size && !slices.ContainsFunc(rs, func(o Range) bool {
				return !o.Zero && o != x && o.Off < x.end() && x.Off < o.end() && o.Off < min(o.end(), size)
			})
		}
		for _, kind := range []byte{zero, data} {
			for _, x := range rs {
				if x.Zero == (kind == zero) {
					for i := x.Off; i < min(x.end(), size); i++ {
						if want[i] = kind; !x.Block.IsHole() && alone(x) {
							want[i] = known
						}
					}
				}
			}
		}
		cs := newChanges(rs, old, size)
		last := span{}
		for i, c := range cs {
			if c.off >= c.end || c.end > size || i > 0 && (c.off < last.end || c.off == last.end && c.zero == last.zero && c.read() == last.read() && c.block.IsHole()) || c.zero && c.end-c.off < unit {
				t.Fatalf("span %+v after %+v", c, last)
			}
			last = c
		}
		for range 200 {
			if size == 0 {
				break
			}
			at := r.Uint64N(size)
			s, inside := cs.at(at)
			switch {
			case !inside && want[at] != same, inside && want[at] == same:
				t.Fatalf("at %d: inside %v, want kind %d", at, inside, want[at])
			case inside && s.block.IsHole() == (want[at] == known):
				t.Fatalf("at %d: block %v, want kind %d", at, s.block, want[at])
			case inside && want[at] == known && !slices.Contains(rs, Range{Off: s.off, Len: s.end - s.off, Block: s.block}):
				t.Fatalf("at %d: no block like %+v", at, s)
			case inside && s.zero && want[at] != zero:
				t.Fatalf("at %d: bytes to read taken for zeros", at)
			case !inside && s.off <= at:
				t.Fatalf("next span %+v is not behind %d", s, at)
			}
			z := cs.nextUnread(at, size)
			if z < at || z > size || z < size && want[z] != zero && want[z] != known {
				t.Fatalf("not to be read behind %d: %d", at, z)
			}
		}
	}
}
