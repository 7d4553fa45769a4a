package merge

import "slices"

// Register is the set of concurrent versions that a replica holds under one key: the maximal
// ones, oldest stamp first. Registers are values: no method changes its receiver in place.
type Register []*Version

// Insert merges one version (S1). It reports false if the register stays as it was. A dot that is doubtful
// names one write in one past and another in another (S5): it is covered by what the same writer wrote only.
// Nil: none is.
func (r Register) Insert(v *Version, doubtful func(Dot) bool) (Register, bool) {
	covers := func(u, v *Version) bool {
		return u.Past.Has(v.Dot) && (doubtful == nil || u.Dot.Writer == v.Dot.Writer || !doubtful(v.Dot))
	}
	for _, u := range r {
		if covers(u, v) {
			return r, false
		}
	}
	out := make(Register, 0, len(r)+1)
	for _, u := range r {
		if !covers(v, u) {
			out = append(out, u)
		}
	}
	i, _ := slices.BinarySearchFunc(out, v, (*Version).Compare)
	return slices.Insert(out, i, v), true
}

// Write sets v.Past for a local write that overwrites exactly cover, and merges it (S2).
// Versions held but not covered become exceptions, so that a device never swallows a
// sibling of its own. v.Dot must be new; what v.Past holds already is kept.
func (r Register) Write(v *Version, cover []*Version) Register {
	p := v.Past
	for _, u := range cover {
		p = p.Join(u.Past)
	}
	p = p.Add(v.Dot)
	for _, u := range r {
		if !slices.Contains(cover, u) {
			p = p.Without(u.Dot)
		}
	}
	v.Past = p
	out, _ := r.Insert(v, nil)
	return out
}

// Find returns the version with the given dot, or nil.
func (r Register) Find(d Dot) *Version {
	for _, v := range r {
		if v.Dot == d {
			return v
		}
	}
	return nil
}

// Newest is the version with the highest stamp, or nil: the value of an attribute register.
func (r Register) Newest() *Version {
	if len(r) == 0 {
		return nil
	}
	return r[len(r)-1]
}

// Winner is the version in effect of a placement register (N10), or nil: explicit before
// automatic, then the newest. That a name is gone counts like the placement taken away: a move
// that was made without knowing of it is newer, the same said again (S8) is not.
func (r Register) Winner() *Version {
	var best *Version
	for _, v := range r { // ascending: of equals the later one
		if best == nil || best.yields(v) {
			best = v
		}
	}
	return best
}

func (v *Version) yields(to *Version) bool {
	if v.Place.Auto != to.Place.Auto {
		return v.Place.Auto
	}
	return v.placed() <= to.placed()
}

// placed is the stamp by which a placement counts.
func (v *Version) placed() Stamp {
	if v.Place.Gone {
		return v.Place.Took
	}
	return v.T
}

// Stamp is the highest stamp held, 0 for none.
func (r Register) Stamp() Stamp {
	if v := r.Newest(); v != nil {
		return v.T
	}
	return 0
}
