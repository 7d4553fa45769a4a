package merge

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// Claims say "my state includes the effect of every write up to here" (S4): Vector is sorted
// and has one dot for each writer. The zero value claims nothing. Claims are values: no method
// changes its receiver's list in place.
type Claims struct{ Vector []Dot }

// Upto returns the sequence number up to which all writes of w are claimed.
func (c Claims) Upto(w ident.Writer) uint64 {
	if i, ok := findWriter(c.Vector, w); ok {
		return c.Vector[i].Seq
	}
	return 0
}

// Has reports whether d is claimed.
func (c Claims) Has(d Dot) bool { return c.Upto(d.Writer) >= d.Seq }

// Raise returns c with all writes of d.Writer up to d claimed.
func (c Claims) Raise(d Dot) Claims { return c.Join(Claims{Vector: []Dot{d}}) }

// Join returns what c or o claim.
func (c Claims) Join(o Claims) Claims { return Claims{joinVectors(c.Vector, o.Vector)} }

// Without returns c with nothing claimed of one writer.
func (c Claims) Without(w ident.Writer) Claims {
	return Claims{slices.DeleteFunc(slices.Clone(c.Vector), func(d Dot) bool { return d.Writer == w })}
}

// Covers reports whether everything that o claims is claimed by c.
func (c Claims) Covers(o Claims) bool {
	for _, d := range o.Vector {
		if !c.Has(d) {
			return false
		}
	}
	return true
}

func findWriter(v []Dot, w ident.Writer) (int, bool) {
	return slices.BinarySearchFunc(v, w, func(d Dot, w ident.Writer) int { return CompareWriters(d.Writer, w) })
}

// joinVectors is the pointwise maximum of two sorted vectors.
func joinVectors(a, b []Dot) []Dot {
	out := make([]Dot, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := CompareWriters(a[0].Writer, b[0].Writer); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			d := a[0]
			d.Seq = max(d.Seq, b[0].Seq)
			out, a, b = append(out, d), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}
