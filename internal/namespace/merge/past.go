package merge

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// Past is a set of dots of one register: of each writer all up to a sequence number, except
// single ones (versions that were known and left alone). Both lists are sorted, Vector has
// one dot per writer. Pasts are values: no method changes its receiver's lists in place.
type Past struct {
	Vector []Dot
	Except []Dot
}

// Has reports whether d is in the set.
func (p Past) Has(d Dot) bool { return p.reaches(d) && !p.excepts(d) }

func (p Past) reaches(d Dot) bool {
	i, ok := findWriter(p.Vector, d.Writer)
	return ok && p.Vector[i].Seq >= d.Seq
}

func (p Past) excepts(d Dot) bool {
	_, ok := slices.BinarySearchFunc(p.Except, d, Dot.Compare)
	return ok
}

// Join returns the union.
func (p Past) Join(o Past) Past {
	n := Past{Vector: joinVectors(p.Vector, o.Vector)}
	for _, x := range p.Except {
		if !o.Has(x) {
			n.Except = append(n.Except, x)
		}
	}
	for _, x := range o.Except {
		if !p.Has(x) {
			n.Except = append(n.Except, x)
		}
	}
	slices.SortFunc(n.Except, Dot.Compare)
	n.Except = slices.Compact(n.Except)
	return n
}

// Add returns the set with d and, for want of anything known between, all earlier dots of
// its writer.
func (p Past) Add(d Dot) Past {
	if len(p.Vector) == 0 { // then there are no exceptions
		return Past{Vector: []Dot{d}}
	}
	n := Past{Vector: joinVectors(p.Vector, []Dot{d}), Except: p.Except}
	if i, ok := slices.BinarySearchFunc(p.Except, d, Dot.Compare); ok {
		n.Except = slices.Delete(slices.Clone(p.Except), i, i+1)
	}
	return n
}

// Without returns the set with d as an exception, if it would include it.
func (p Past) Without(d Dot) Past {
	if !p.Has(d) {
		return p
	}
	i, _ := slices.BinarySearchFunc(p.Except, d, Dot.Compare)
	return Past{Vector: p.Vector, Except: slices.Insert(slices.Clone(p.Except), i, d)}
}

// Upto returns the set without the dots of one writer after seq.
func (p Past) Upto(w ident.Writer, seq uint64) Past {
	var n Past
	for _, d := range p.Vector {
		if d.Writer == w {
			d.Seq = min(d.Seq, seq)
		}
		if d.Seq > 0 {
			n.Vector = append(n.Vector, d)
		}
	}
	for _, d := range p.Except {
		if d.Writer != w || d.Seq <= seq {
			n.Except = append(n.Except, d)
		}
	}
	return n
}

// Valid reports whether the lists are as every method leaves them: sorted, without repeats
// or zero sequences, and every exception below its writer's number.
func (p Past) Valid() bool {
	var last ident.Writer
	for i, d := range p.Vector {
		if d.Seq == 0 || i > 0 && CompareWriters(last, d.Writer) >= 0 {
			return false
		}
		last = d.Writer
	}
	for i, d := range p.Except {
		if d.Seq == 0 || !p.reaches(d) || i > 0 && p.Except[i-1].Compare(d) >= 0 {
			return false
		}
	}
	return true
}
