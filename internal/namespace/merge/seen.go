package merge

// Spared reports whether the set was made by somebody who knew of d, or by whoever he built on,
// and left d alone (S2): it reaches d and leaves it out. That it does not is no proof that d was
// unknown: of a writer nothing of whom is in the set, nothing is left out either.
func (p Past) Spared(d Dot) bool { return p.excepts(d) }
