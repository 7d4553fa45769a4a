package namespace

import (
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/namespace/merge"
)

// The building blocks of operations, by the rules N4–N15: each writes versions and settles, so
// that the next one sees the view as it has become. What an operation pins it computes before
// it changes anything.

// putPlace writes a placement; it covers everything held.
func (t *tx) putPlace(n, parent NodeID, name string, auto bool, s merge.Stamp) {
	p := &merge.Place{Parent: parent, Name: name, Auto: auto}
	if x := t.node(n); n.IsDir() && len(x.P) > 0 {
		at, _ := t.target(x)
		p.Prev = at.parent
	}
	id := regID{node: n, kind: regPlace}
	t.write(id, &merge.Version{T: s, Class: merge.Placed, Place: p}, t.held(id))
}

// putGone takes a file its own name, and says where it would lie without any (N18).
func (t *tx) putGone(n NodeID, at nameKey) {
	p := &merge.Place{Parent: at.parent, Name: at.name, Gone: true}
	switch was := t.node(n).P.Winner(); {
	case was.Place.Gone && at == nameKey{was.Place.Parent, was.Place.Name}:
		return
	case was.Place.Gone:
		p.Took = was.Place.Took
	case !was.Place.Auto: // any move wins over a rule's placement, and over its end
		p.Took = was.T
	}
	id := regID{node: n, kind: regPlace}
	t.write(id, &merge.Version{T: t.stamp(n), Class: merge.Placed, Place: p}, t.held(id))
}

// put writes the content register of a file or directory itself (N4): it covers what the name
// shows and what nothing shows, never another group.
func (t *tx) put(n NodeID, class merge.Class, body *merge.Body, s merge.Stamp) {
	gs, rest := t.node(n).parts()
	cover := slices.Clone(rest)
	if len(gs) > 0 {
		cover = append(cover, gs[0].Versions...)
	}
	t.write(regID{node: n, kind: regBytes}, &merge.Version{T: s, Class: class, Body: body}, cover)
}

// putAttr writes an attribute; it covers everything held.
func (t *tx) putAttr(id regID, value string, s merge.Stamp) {
	t.write(id, &merge.Version{T: s, Class: merge.Set, Value: value}, t.held(id))
}

// reassert says the shown bytes again (N9): the weak version survives a removal that had not
// seen the operation, and hides behind any other bytes. It covers what was so said again before and
// all that its source covered, but not the source: the bytes of a written-out copy must not come to
// others only after an edit of the file that let go of them (S3). A removed directory is revived by it.
func (t *tx) reassert(n NodeID) {
	x := t.node(n)
	if !x.Alive() {
		t.sayAgain(n)
	}
	gs, rest := x.parts()
	cover := slices.Clone(rest)
	body := t.present(x)
	v := &merge.Version{Class: merge.Weak, Body: &body}
	if len(gs) > 0 {
		for _, u := range gs[0].Versions {
			if gs[0].SaidAgain(u) {
				cover = append(cover, u)
			} else {
				v.Past = v.Past.Join(u.Past)
			}
		}
		v.T = gs[0].Best.T
	}
	t.write(regID{node: n, kind: regBytes}, v, cover)
}

// save says again what a name shows, so that both stay where the name is removed elsewhere (N9, N18).
func (t *tx) save(n NodeID) {
	t.reassert(n)
	if f := t.file(t.node(n)); f.ID != n {
		t.reassert(f.ID)
	}
}

// sayAgain says unchanged where a node lies that does not exist and is about to, and what its
// attributes are: others who know of its removal may have forgotten all of it (S7).
func (t *tx) sayAgain(n NodeID) {
	t.sayPlace(n)
	ids := []regID{{node: n, kind: regMode}, {node: n, kind: regOwner}, {node: n, kind: regTimes}}
	t.eachSub(n, func(id regID, _ merge.Register) { ids = append(ids, id) })
	for _, id := range ids {
		v := t.held(id).Newest()
		if id.kind == regTimes {
			v = newestTimes(t.held(id), func([16]byte) bool { return true })
		}
		if v != nil {
			t.putAttr(id, v.Value, v.T)
		}
	}
}

// comeBack says again what a removed file is but its bytes, and revives the directories above it.
func (t *tx) comeBack(n NodeID) {
	if x := t.node(n); x.Alive() {
		return
	}
	t.sayAgain(n)
	for up := t.node(n).at.parent; up != Root && !t.node(up).Alive(); {
		t.reassert(up)
		p := t.node(up).P.Winner()
		if p == nil {
			return
		}
		up = p.Place.Parent
	}
}

// dropGroup removes one group from n's content register (N6).
func (t *tx) dropGroup(n NodeID, g *merge.Group) {
	t.write(regID{node: n, kind: regBytes}, &merge.Version{Class: merge.Nothing, T: t.stamp(n)}, g.Versions)
}

// writeOut turns virtual copies of n, those that want accepts (nil: all), into files of their
// own (N7). Of one that is a file already n need not let go: who made it one does. shown is how the
// names stood before the operation.
func (t *tx) writeOut(shown *merge.NameGroup, n NodeID, want func(id NodeID, g *merge.Group) bool) {
	if of := t.lent(t.node(n)); of != nil { // beside a link are those of its nameless file
		n = of.ID
	}
	gs, _ := t.node(n).parts()
	for i := 1; i < len(gs); i++ {
		g := &gs[i]
		id := merge.CopyID(n, g)
		c := t.node(id)
		if want != nil && !want(id, g) || c.Alive() {
			continue
		}
		body := *g.Best.Body
		stamp := g.Best.T
		if len(c.Times) > 0 { // written out and removed before: its attributes are past
			stamp = t.stamp(id)
		}
		t.putPlace(id, t.node(n).at.parent, nameOf(shown, id, t.node(n).at.name), true, t.stamp(n, id))
		reg := regID{node: id, kind: regBytes}
		t.write(reg, &merge.Version{T: stamp, Class: merge.Weak, Body: &body}, t.held(reg))
		t.dropGroup(n, g)
	}
}

// letGo drops the bytes of copies of n, those that want accepts (nil: all), that are files of their own.
func (t *tx) letGo(n NodeID, want func(id NodeID, g *merge.Group) bool) {
	gs, _ := t.node(n).parts()
	for i := 1; i < len(gs); i++ {
		if id := merge.CopyID(n, &gs[i]); (want == nil || want(id, &gs[i])) && t.node(id).Alive() {
			t.dropGroup(n, &gs[i])
		}
	}
}

// nameOf is the name under which a copy is shown.
func nameOf(shown *merge.NameGroup, id NodeID, otherwise string) string {
	for _, s := range shown.Derived {
		if s.ID == id {
			return s.Name
		}
	}
	return otherwise
}

func only(id NodeID) func(NodeID, *merge.Group) bool {
	return func(x NodeID, _ *merge.Group) bool { return x == id }
}

// pin writes the shown name of a displaced file, and of its twins, for good (N14).
func (t *tx) pin(shown *merge.NameGroup, s *merge.Shown) {
	nodes := append([]NodeID{s.ID}, s.Twins...)
	stamp := t.stamp(nodes...)
	for i, n := range nodes { // the same order as before
		t.writeOut(shown, n, nil)
		t.putPlace(n, t.node(n).at.parent, s.Name, true, stamp+merge.Stamp(i))
	}
}

// pinDerived gives an entry with a derived name that name for good.
func (t *tx) pinDerived(shown *merge.NameGroup, s *merge.Shown) {
	if s.Of != (NodeID{}) {
		t.writeOut(shown, s.Of, only(s.ID))
	} else {
		t.pin(shown, s)
	}
}

// pinFor pins, before name is freed or taken in f, every displaced entry that would be shown
// differently after it (N14).
func (t *tx) pinFor(f folder, name string, except NodeID) {
	for _, raw := range append([]string{name}, t.derivedFrom(f, name)...) {
		g := t.group(f, raw)
		for _, s := range g.Derived {
			if s.ID != except && s.DependsOn(name) {
				t.pinDerived(&g, s)
			}
		}
	}
}

// keepNames gives the entries of a name that showed in another way before, as s tells, those names for
// good: a conflict copy that has come in may have taken one (N14).
func (t *tx) keepNames(s showing) {
	if len(s.group.Derived) == 0 {
		return
	}
	now := t.group(s.in, s.it.Raw)
	for _, was := range s.group.Derived {
		i := slices.IndexFunc(now.Derived, func(d *merge.Shown) bool { return d.ID == was.ID })
		if i >= 0 && now.Derived[i].Name != was.Name {
			t.pinDerived(&s.group, was)
		}
	}
}

// revive makes removed directories that are shown for their contents directories again,
// before anything is done in them (N12).
func (t *tx) revive(f folder) {
	if t.state.zombies == 0 {
		return
	}
	for f.id != Root {
		for _, m := range f.members {
			if x := t.node(m); !x.Alive() {
				t.reassert(m)
			}
		}
		x := t.node(f.id)
		if !x.placed {
			return
		}
		f = t.folder(x.at.parent)
	}
}

// pinCuts writes the cuts of cycles that are shown, before a directory is placed (N15).
func (t *tx) pinCuts() {
	cuts := t.state.cuts
	for _, c := range slices.SortedFunc(maps.Keys(cuts), NodeID.Compare) {
		if x := t.node(c); x.placed {
			t.putPlace(c, cuts[c], x.at.name, true, t.stamp(c))
		}
	}
}

// own makes what is shown as s a file of its own: a virtual copy is written out, a displaced
// name written for good. The result is how it is shown then.
func (t *tx) own(s showing) showing {
	t.revive(s.in)
	if s.it.Of == (NodeID{}) && !s.it.Displaced() {
		return s
	}
	t.pinDerived(&s.group, s.it)
	if again, ok := t.show(s.it.ID); ok {
		return again
	}
	return s
}

// editable prepares an entry for new bytes (N5): it becomes a file of its own, displaced files
// and copies that would fold with it get their names for good, its twins go.
func (t *tx) editable(s showing, n NodeID, b merge.Bytes) {
	same := func(_ NodeID, g *merge.Group) bool { return g.Bytes == b }
	if !s.it.Group.Bytes.Link.IsZero() { // a nameless file: with its links nothing folds
		t.writeOut(&s.group, n, same)
		return
	}
	if s.it.ID != n { // a hidden twin is written to: it takes the place of the one shown
		t.pinFor(s.in, s.it.Raw, s.it.ID)
	}
	for _, d := range s.group.Derived {
		if d.ID != s.it.ID && d.Of == (NodeID{}) && d.Group.Bytes == b {
			t.pin(&s.group, d)
		}
	}
	t.writeOut(&s.group, n, same)
	for _, twin := range append([]NodeID{s.it.ID}, s.it.Twins...) {
		if twin != n {
			t.dropName(&s.group, twin)
		}
	}
}

// moveTo places the nodes of an entry in f under a new name and says their bytes again (N9).
func (t *tx) moveTo(s showing, f folder, name string) {
	nodes := s.it.Members
	if !s.it.IsDir() {
		nodes = append([]NodeID{s.it.ID}, s.it.Twins...)
	}
	stamp := t.stamp(nodes...)
	for i, n := range nodes { // twins and merged directories move together, in order
		t.writeOut(&s.group, n, nil)
		t.putPlace(n, f.id, name, false, stamp+merge.Stamp(i))
		t.save(n)
	}
}
