package namespace

import "github.com/shelffs/shelf/internal/namespace/merge"

// removeNode removes one node (N8): its copies are written out first, and if it is itself a
// written-out copy whose bytes its origin still holds, the origin lets go of them.
func (t *tx) removeNode(shown *merge.NameGroup, n NodeID) {
	t.writeOut(shown, n, nil)
	if of := t.origin(n); !of.IsZero() {
		t.writeOut(shown, of, only(n))
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
			if merge.CopyID(s.it.Of, gs[i].Least) == s.it.ID {
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

// dropName takes a file's first name away: the place of its smallest living hard link becomes
// its own, and the link node goes (N18). A file without links is removed.
func (t *tx) dropName(shown *merge.NameGroup, n NodeID) {
	links := t.linksTo(n)
	if len(links) == 0 {
		t.removeNode(shown, n)
		return
	}
	to, ok := t.show(links[0])
	if !ok { // only in a damaged store
		return
	}
	to = t.own(to)
	t.pinFor(to.in, to.it.Name, to.it.ID)
	for _, l := range append([]NodeID{to.it.ID}, to.it.Twins...) {
		t.removeNode(&to.group, l)
	}
	stamp := t.stamp(n)
	t.writeOut(shown, n, nil)
	t.putPlace(n, to.in.id, to.it.Name, false, stamp)
	t.reassert(n)
}

// removeFolder removes an empty directory with all that are merged into it.
func (t *tx) removeFolder(s showing) {
	t.revive(s.in)
	t.pinFor(s.in, s.it.Name, s.it.ID)
	for _, m := range s.it.Members {
		t.put(m, merge.Nothing, nil, t.stamp(m))
	}
}
