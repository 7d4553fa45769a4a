package merge

import (
	"slices"
	"strings"
)

// Tree is the whole view, built from scratch. It is what every incremental view must equal;
// it takes time and memory in proportion to the share, and only tests and audits want it.
type Tree struct {
	Kids map[NodeID][]*Shown // by displayed directory: by name
	Cuts []NodeID            // sorted
	Lent map[NodeID]NodeID   // files without a name of their own: the link beside which their copies are (N18)
}

// Build computes the view of all nodes of a share (N1–N3, N10–N15, N18).
func Build(nodes map[NodeID]*Node, names Names) *Tree {
	b := &builder{nodes: nodes, names: names, tree: &Tree{Kids: map[NodeID][]*Shown{}, Lent: Lend(nodes)}}
	b.cut()
	b.placeVisible()
	b.layout(Root, []NodeID{Root})
	return b.tree
}

type builder struct {
	nodes  map[NodeID]*Node
	names  Names
	tree   *Tree
	parent map[NodeID]NodeID   // after cuts
	placed map[NodeID][]NodeID // visible nodes by parent
}

func (b *builder) place(n NodeID) *Version {
	if x := b.nodes[n]; x != nil {
		return x.P.Winner()
	}
	return nil
}

func (b *builder) cut() {
	cuts := map[NodeID]bool{}
	for n := range b.nodes {
		if c, ok := CutOn(n, b.place); ok && n.IsDir() {
			cuts[c] = true
		}
	}
	for c := range cuts {
		b.tree.Cuts = append(b.tree.Cuts, c)
	}
	slices.SortFunc(b.tree.Cuts, NodeID.Compare)
	b.parent = Redirect(b.tree.Cuts, b.place)
	for n := range b.nodes {
		if p := b.place(n); p != nil && !cuts[n] {
			b.parent[n] = p.Place.Parent
		}
	}
}

// placeVisible finds the nodes that exist or have a living descendant, and hang on the root.
func (b *builder) placeVisible() {
	visible := map[NodeID]bool{Root: true}
	b.placed = map[NodeID][]NodeID{}
	for n, x := range b.nodes {
		if _, lent := b.tree.Lent[n]; lent || !x.Alive() {
			continue
		}
		up := n
		for !visible[up] && !up.IsZero() {
			up = b.parent[up]
		}
		for y := n; !up.IsZero() && !visible[y]; y = b.parent[y] {
			visible[y] = true
			b.placed[b.parent[y]] = append(b.placed[b.parent[y]], y)
		}
	}
}

func (b *builder) alive(n NodeID) bool {
	x := b.nodes[n]
	return x != nil && x.Alive()
}

func (b *builder) layout(dir NodeID, members []NodeID) {
	byName := map[string][]Kid{}
	for _, m := range members {
		for _, n := range b.placed[m] {
			k := Kid{ID: n, Place: b.place(n)}
			if !n.IsDir() {
				k.Groups, _ = Groups(b.nodes[n].C)
			}
			byName[k.Place.Place.Name] = append(byName[k.Place.Place.Name], k)
			if f := b.nodes[b.nodes[n].Link()]; f != nil && b.tree.Lent[f.ID] == n {
				groups, _ := Groups(f.C)
				byName[k.Place.Place.Name] = append(byName[k.Place.Place.Name], Kid{ID: f.ID, Place: k.Place, Groups: groups, Lent: true})
			}
		}
	}
	around := Around{Alive: b.alive, Stored: func(name string) bool { return len(byName[name]) > 0 }, Names: b.names}
	var shown []*Shown
	for _, kids := range byName {
		g := Layout(kids, around)
		shown = append(shown, g.All()...)
	}
	slices.SortFunc(shown, func(x, y *Shown) int { return strings.Compare(x.Name, y.Name) })
	b.tree.Kids[dir] = shown
	for _, s := range shown {
		if s.IsDir() {
			b.layout(s.ID, s.Members)
		}
	}
}
