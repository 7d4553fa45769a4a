package namespace

import "github.com/shelffs/shelf/internal/namespace/merge"

// removeNode removes one node (N8): its copies are written out first, and if it is itself a
// written-out copy whose bytes its origin still holds, the origin lets go of them.
func (t *tx) removeNode(shown *merge.NameGroup, n NodeID) {
	t.writeOut(shown, n, nil)
	t.letGo(n, nil)
	if of := t.origin(n); !of.IsZero() {
		t.letGo(of, only(n))
	}
	t.put(n, merge.Nothing, nil, t.stamp(n))
}

// removeShown removes an entry that is no directory from its name: a file, its twins with it,
// a hard link, or a virtual copy.
func (t *tx) removeShown(s showing) {
	t.revive(s.in)
	t.pinFor(s.in, s.it.Name, s.it.ID)
	if s.it.Of != (NodeID{}) {
		gs, _ := t.node(s.it.Of).parts()
		for i := 1; i < len(gs); i++ {
			if merge.CopyID(s.it.Of, &gs[i]) == s.it.ID {
				t.dropGroup(s.it.Of, &gs[i])
				break
			}
		}
		return
	}
	if s.it.Displaced() {
		t.pinFor(s.in, s.it.Raw, s.it.ID)
	}
	for _, n := range append([]NodeID{s.it.ID}, s.it.Twins...) {
		t.dropName(&s.group, n)
	}
}

// dropName takes a name away: a link is removed; a file without links, too, while one with links
// only loses its own name. Whoever takes away the last removes the file (N18).
func (t *tx) dropName(shown *merge.NameGroup, n NodeID) {
	x := t.node(n)
	f, at := t.file(x), x.at
	if first := t.firstLink(n); x.link().IsZero() && !first.IsZero() {
		t.writeOut(shown, n, nil)
		t.putGone(n, t.node(first).at)
		return
	}
	nameless := !f.by.IsZero()
	if nameless && len(t.linksTo(f.ID)) == 1 { // said before: for a moment it will lie there without any
		t.putGone(f.ID, at)
	}
	t.removeNode(shown, n)
	if nameless && f.by.IsZero() { // that was the last
		t.removeNode(shown, f.ID)
	}
}

// removeFolder removes an empty directory with all that are merged into it.
func (t *tx) removeFolder(s showing) {
	t.revive(s.in)
	t.pinFor(s.in, s.it.Name, s.it.ID)
	for _, m := range s.it.Members {
		t.put(m, merge.Nothing, nil, t.stamp(m))
	}
}
