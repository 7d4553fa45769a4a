package content

import (
	"math/rand/v2"
	"testing"
)

// The spans say of each byte what the ranges say, one byte at a time.
func TestChangesAgainstBytes(t *testing.T) {
	const same, data, zero = 0, 1, 2
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
			rs = append(rs, x)
		}
		for _, kind := range []byte{zero, data} {
			for _, x := range rs {
				if x.Zero == (kind == zero) {
					for i := x.Off; i < min(x.end(), size); i++ {
						want[i] = kind
					}
				}
			}
		}
		cs := newChanges(rs, old, size)
		last := span{}
		for i, c := range cs {
			if c.off >= c.end || c.end > size || i > 0 && (c.off < last.end || c.off == last.end && c.zero == last.zero) || c.zero && c.end-c.off < unit {
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
			case inside && s.zero && want[at] != zero:
				t.Fatalf("at %d: bytes to read taken for zeros", at)
			case !inside && s.off <= at:
				t.Fatalf("next span %+v is not behind %d", s, at)
			}
			z := cs.nextZero(at, size)
			if z < at || z > size || z < size && want[z] != zero {
				t.Fatalf("next zero behind %d: %d", at, z)
			}
		}
	}
}
