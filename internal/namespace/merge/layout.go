package merge

import (
	"slices"

	"github.com/shelffs/shelf/internal/ident"
)

// Kid is a node placed in a directory, with what decides how it is shown there.
type Kid struct {
	ID     NodeID
	Place  *Version // the placement in effect
	Groups []Group  // of a file
	Lent   bool     // the file itself is shown by its hard links; here are only its copies (N18)
}

// Shown is one entry of a displayed directory.
type Shown struct {
	ID      NodeID
	Name    string   // shown; empty until layout has chosen one
	Raw     string   // stored; differs from Name if the entry was displaced
	Place   *Version // placement in effect; of a virtual copy: of its file
	Of      NodeID   // not zero: a virtual conflict copy of that node
	Group   *Group   // of a file or copy: the versions shown
	Members []NodeID // of a directory: all directories merged into it, sorted (N12)
	Twins   []NodeID // of a file: hidden ones of the same name and bytes, by stamp (N13)
	tries   []string // names that were taken when the name was chosen
}

// IsDir reports whether the entry is a directory.
func (s *Shown) IsDir() bool { return s.ID.IsDir() }

// Displaced reports whether the entry is shown under a name that is not stored anywhere.
func (s *Shown) Displaced() bool { return s.Name != s.Raw }

// DependsOn reports whether the derived name of s could change when name is freed or taken.
func (s *Shown) DependsOn(name string) bool {
	return s.Raw == name || slices.Contains(s.tries, name)
}

// Origin is the write that a derived name speaks of.
func (s *Shown) Origin() (by ident.Writer, t Stamp) {
	v := s.Place
	if s.Of != (NodeID{}) {
		v = s.Group.Best
	}
	return v.Dot.Writer, v.T
}

// stamp is what orders files of one name, and copies.
func (s *Shown) stamp() Stamp { _, t := s.Origin(); return t }

// NameGroup is what one stored name of a displayed directory shows.
type NameGroup struct {
	Winner  *Shown   // shown under the name itself
	Derived []*Shown // displaced files, then virtual copies, under derived names
}

// All returns everything shown, the winner first.
func (g *NameGroup) All() []*Shown {
	if g.Winner == nil {
		return nil
	}
	return append([]*Shown{g.Winner}, g.Derived...)
}

// Around is what layout needs to know of the replica around a group of nodes.
type Around struct {
	Alive  func(NodeID) bool // does a node exist by itself?
	Stored func(string) bool // is a node placed in the directory under this name?
	Names  Names
}

// Layout decides how the nodes placed under one name of a displayed directory are shown (N12,
// N13). A directory has the name, with all others merged into it; else the oldest placement.
// Other files are displaced, unless they are twins of a file before them. The conflict copies
// of all files follow, those left out that have become nodes of their own (N3). Displaced
// files and copies get names by which nobody else is stored.
func Layout(kids []Kid, a Around) NameGroup {
	var g NameGroup
	var files, virtual []*Shown
	for i := range kids {
		k := &kids[i]
		if k.ID.IsDir() {
			g.Winner = mergeDir(g.Winner, k)
			continue
		}
		if !k.Lent {
			files = append(files, &Shown{ID: k.ID, Raw: k.Place.Place.Name, Place: k.Place, Group: &k.Groups[0]})
		}
		for j := 1; j < len(k.Groups); j++ {
			if id := CopyID(k.ID, &k.Groups[j]); !a.Alive(id) {
				virtual = append(virtual, &Shown{ID: id, Of: k.ID, Raw: k.Place.Place.Name, Place: k.Place, Group: &k.Groups[j]})
			}
		}
	}
	slices.SortFunc(files, byStamp)
	slices.SortFunc(virtual, byStamp)
	first := map[Bytes]*Shown{}
	for _, f := range files {
		if t := first[f.Group.Bytes]; t != nil {
			t.Twins = append(t.Twins, f.ID)
			continue
		}
		first[f.Group.Bytes] = f
		if g.Winner == nil {
			g.Winner, f.Name = f, f.Raw
		} else {
			g.Derived = append(g.Derived, f)
		}
	}
	g.Derived = append(g.Derived, virtual...)
	derive(g.Derived, a)
	return g
}

// mergeDir joins k to the directory d, which may be nil.
func mergeDir(d *Shown, k *Kid) *Shown {
	if d == nil {
		d = &Shown{ID: k.ID, Raw: k.Place.Place.Name, Name: k.Place.Place.Name, Place: k.Place}
	}
	if k.ID.Compare(d.ID) < 0 {
		d.ID, d.Place = k.ID, k.Place
	}
	i, _ := slices.BinarySearchFunc(d.Members, k.ID, NodeID.Compare)
	d.Members = slices.Insert(d.Members, i, k.ID)
	return d
}

// byStamp orders by stamp, ties by id and never by dot: repeats of a restored device keep
// the order.
func byStamp(a, b *Shown) int {
	switch ta, tb := a.stamp(), b.stamp(); {
	case ta < tb:
		return -1
	case ta > tb:
		return 1
	}
	return a.ID.Compare(b.ID)
}

// derive gives names to entries that have none, in order.
func derive(all []*Shown, a Around) {
	taken := map[string]bool{}
	for _, s := range all {
		for k := 0; ; k++ {
			s.Name = derivedName(s, k, a.Names)
			if !taken[s.Name] && !a.Stored(s.Name) {
				break
			}
			s.tries = append(s.tries, s.Name)
		}
		taken[s.Name] = true
	}
}
