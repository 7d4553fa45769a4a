package merge

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// Claims say "my state includes the effect of these writes" (S4): of every write of a writer
// up to a sequence number, and of single writes of closed incarnations beyond it. Both lists
// are sorted, Vector has one dot per writer. The zero value claims nothing. Claims are
// values: no method changes its receiver's lists in place.
type Claims struct {
	Vector []Dot
	Dots   []Dot
}

// Upto returns the sequence number up to which all writes of w are claimed.
func (c Claims) Upto(w ident.Writer) uint64 {
	if i, ok := findWriter(c.Vector, w); ok {
		return c.Vector[i].Seq
	}
	return 0
}

// Has reports whether d is claimed.
func (c Claims) Has(d Dot) bool {
	if c.Upto(d.Writer) >= d.Seq {
		return true
	}
	_, ok := slices.BinarySearchFunc(c.Dots, d, Dot.Compare)
	return ok
}

// Raise returns c with all writes of d.Writer up to d claimed.
func (c Claims) Raise(d Dot) Claims { return c.Join(Claims{Vector: []Dot{d}}) }

// Join returns what c or o claim.
func (c Claims) Join(o Claims) Claims {
	n := Claims{Vector: joinVectors(c.Vector, o.Vector)}
	for _, list := range [][]Dot{c.Dots, o.Dots} {
		for _, d := range list {
			if n.Upto(d.Writer) < d.Seq {
				n.Dots = append(n.Dots, d)
			}
		}
	}
	slices.SortFunc(n.Dots, Dot.Compare)
	n.Dots = slices.Compact(n.Dots)
	return n
}

// Without returns c with nothing claimed of one writer.
func (c Claims) Without(w ident.Writer) Claims {
	of := func(d Dot) bool { return d.Writer == w }
	return Claims{Vector: slices.DeleteFunc(slices.Clone(c.Vector), of), Dots: slices.DeleteFunc(slices.Clone(c.Dots), of)}
}

// Covers reports whether everything that o claims is claimed by c.
func (c Claims) Covers(o Claims) bool {
	for _, d := range o.Vector {
		if !c.hasUpto(d) {
			return false
		}
	}
	for _, d := range o.Dots {
		if !c.Has(d) {
			return false
		}
	}
	return true
}

// hasUpto reports whether all writes of d.Writer up to d are claimed, be it one by one.
func (c Claims) hasUpto(d Dot) bool {
	n := c.Upto(d.Writer)
	for _, x := range c.Dots { // sorted
		if x.Writer == d.Writer && x.Seq == n+1 {
			n++
		}
	}
	return n >= d.Seq
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
