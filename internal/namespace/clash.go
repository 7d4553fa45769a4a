package namespace

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Clash is a conflict as a person sees it: a name that several versions claim, made by devices
// that did not know of each other.
type Clash struct {
	Dir      NodeID // the directory that shows them
	Path     string // of the name, slash-separated from the root, without a leading slash
	Versions []ClashVersion
	Mine     int // index of the version that KeepMine keeps
}

// ClashVersion is one of them. The first of a clash has the name; the others show beside it, under
// the names in their entries.
type ClashVersion struct {
	Entry
	// By is the device that last wrote it or gave it this name, and When that was.
	By   ident.DeviceID
	When merge.Stamp
	// Knew and Ignorant list other versions of the clash, by index: those that were there when
	// this one was written (or what it builds on was), and those that certainly were not. Of a
	// version in neither it cannot be told.
	Knew, Ignorant []int
}

// DerivedName reports whether a name looks as those that are made up for what shows beside a
// name. With every conflict one of them comes or goes.
func DerivedName(name string) bool {
	_, _, ok := merge.ParseDerived(name)
	return ok
}

// ClaimedName is the name that what shows under a made up one would have if nothing else had it.
func ClaimedName(name string) string {
	if raw, _, ok := merge.ParseDerived(name); ok {
		return raw
	}
	return name
}

// clashPage is how many names are laid out while writers wait.
const clashPage = 256

// Clashes lists the conflicts of the share, by path. It looks only at names that several nodes
// claim and at files with conflict copies, which have indexes; of directories shown as one, at
// the names in all but the largest. What a device put beside a name whose further changes are held back
// is none yet: the removal of the other may be among these.
func (r *Replica) Clashes(ctx context.Context) ([]Clash, error) {
	const op = "namespace.Clashes"
	held := map[ident.Writer]bool{}
	for _, h := range r.Held() {
		held[h.Writer] = true
	}
	names, err := r.clashNames()
	if err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	var out []Clash
	for page := range slices.Chunk(names, clashPage) {
		if ctx.Err() != nil {
			return nil, errs.E(op, errs.Other, "", ctx.Err())
		}
		err := r.read(func(t *tx) error {
			paths := map[NodeID]string{}
			for _, k := range page {
				if c, ok := t.clash(k, paths, held); ok {
					out = append(out, c)
				}
			}
			return nil
		})
		if err != nil {
			return nil, errs.E(op, errs.Other, "", err)
		}
	}
	slices.SortFunc(out, func(a, b Clash) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// clashNames gathers the names that may show more than one version, from one moment and without
// holding up anybody.
func (r *Replica) clashNames() ([]nameKey, error) {
	r.mu.RLock()
	snap, err := r.cfg.DB.Snapshot()
	t := r.reader()
	r.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	t.src, t.caches = snap, nil
	g := clashGatherer{t: t, found: map[nameKey]bool{}, walked: map[NodeID]bool{}}
	g.severals()
	g.copies()
	return slices.Collect(maps.Keys(g.found)), t.err
}

type clashGatherer struct {
	t      *tx
	found  map[nameKey]bool // by displayed directory
	walked map[NodeID]bool
}

// severals looks at the names under which several nodes live.
func (g *clashGatherer) severals() {
	prefix := g.t.db.Key(tableSeveral)
	g.t.fail(g.t.src.Scan(prefix, func(k kv.Key, row []byte) bool {
		name, err := decodeSeveral(row)
		if err == nil && len(k) < len(prefix)+len(NodeID{}) {
			err = corruptRow("names of several")
		}
		if g.t.fail(err); err != nil {
			return false
		}
		parent := NodeID(k[len(prefix):][:16])
		g.look(g.t.folder(parent), name, g.t.name(parent, name).nodes)
		return g.t.err == nil
	}))
}

// look takes a name of f under which several nodes live.
func (g *clashGatherer) look(f folder, name string, nodes []NodeID) {
	dirs := (&nameRow{nodes: nodes}).dirs()
	if dirs < len(nodes) {
		g.found[nameKey{f.id, name}] = true
	}
	if dirs > 1 {
		g.walk(g.t.folder(nodes[slices.IndexFunc(nodes, NodeID.IsDir)]))
	}
}

// walk finds names that are in several of the directories shown as f. Each such name is in one of
// them that is not the largest.
func (g *clashGatherer) walk(f folder) {
	if g.walked[f.id] || len(f.members) < 2 {
		return
	}
	g.walked[f.id] = true
	t := g.t
	members := slices.Clone(f.members)
	slices.SortFunc(members, func(a, b NodeID) int { return cmp.Compare(t.dir(a).kids, t.dir(b).kids) })
	for _, m := range members[:len(members)-1] {
		t.fail(t.src.Scan(t.keys.names(m), func(_ kv.Key, row []byte) bool {
			n, err := decodeName(row)
			if t.fail(err); err != nil {
				return false
			}
			var nodes []NodeID
			for _, other := range members {
				if other == m {
					nodes = append(nodes, n.nodes...)
				} else if x := t.get(t.keys.name(other, n.name)); x != nil {
					o, err := decodeName(x)
					t.fail(err)
					nodes = append(nodes, o.nodes...)
				}
			}
			if len(nodes) > 1 {
				g.look(f, n.name, nodes)
			}
			return t.err == nil
		}))
	}
}

// copies looks at the files that hold bytes of conflict copies.
func (g *clashGatherer) copies() {
	t := g.t
	t.fail(t.src.Scan(t.db.Key(tableOrigin), func(_ kv.Key, row []byte) bool {
		if len(row) != len(NodeID{}) {
			t.fail(corruptRow("origin"))
			return false
		}
		if n := t.node(NodeID(row)); n.placed {
			g.found[nameKey{t.folder(n.at.parent).id, n.at.name}] = true
		}
		return t.err == nil
	}))
}

// clash lays out one name; it is false if that shows one version only, or nowhere.
func (t *tx) clash(k nameKey, paths map[NodeID]string, held map[ident.Writer]bool) (Clash, bool) {
	dir, ok := t.pathOf(k.parent, paths)
	if !ok {
		return Clash{}, false
	}
	f := t.folder(k.parent)
	g := t.group(f, k.name)
	g.Derived = slices.DeleteFunc(slices.Clone(g.Derived), func(s *merge.Shown) bool { return s.Of.IsZero() && held[s.Place.Dot.Writer] })
	if len(g.Derived) == 0 {
		return Clash{}, false
	}
	c := Clash{Dir: f.id, Path: path.Join(dir, k.name)}
	all := g.All()
	for _, s := range all {
		v := t.clashVersion(f, s)
		for j, o := range all {
			switch knew, ignorant := t.knew(s, o); {
			case s == o:
			case knew:
				v.Knew = append(v.Knew, j)
			case ignorant:
				v.Ignorant = append(v.Ignorant, j)
			}
		}
		c.Versions = append(c.Versions, v)
	}
	c.Mine = mine(c.Versions, t.r.cfg.Self)
	return c, true
}

// clashVersion is how a version shows, and whose it is. Of a directory that is removed, and shown for what lives in it,
// only the placement tells.
func (t *tx) clashVersion(f folder, s *merge.Shown) ClashVersion {
	v := ClashVersion{Entry: t.entry(f, s)}
	if v.By, v.When = v.Writer, v.Stamp; v.By.IsZero() || s.Of.IsZero() && !s.Place.Place.Auto && s.Place.T > v.When {
		v.By, v.When = s.Place.Dot.Writer.Device, s.Place.T
	}
	return v
}

// pathOf is the path of a displayed directory; false if it is shown nowhere.
func (t *tx) pathOf(dir NodeID, known map[NodeID]string) (string, bool) {
	var names []string
	at := dir
	base, ok := "", false
	for range maxDepth {
		if at == Root {
			ok = true
			break
		}
		if base, ok = known[at]; ok {
			break
		}
		n := t.node(at)
		if !n.placed {
			return "", false
		}
		names = append(names, n.at.name) // a directory always has its own name (N13)
		at = t.folder(n.at.parent).id
	}
	if !ok {
		return "", false
	}
	slices.Reverse(names)
	full := path.Join(base, strings.Join(names, "/"))
	known[dir] = full
	return full, true
}

// knew tells whether the writer of u, or of what it builds on, certainly had v before him, or
// certainly had not.
//
// Versions of one file: a write leaves out of its past what was there and was not meant, which
// proves that it was there; and its stamp is above everything there, which proves that what is
// newer was not. Different files of one name: who made a file had none of that name before him.
func (t *tx) knew(u, v *merge.Shown) (knew, ignorant bool) {
	if u.IsDir() || v.IsDir() {
		return false, !u.IsDir() && madeAs(u)
	}
	ofU, gu := t.bytesOf(u)
	ofV, gv := t.bytesOf(v)
	if ofU != ofV {
		return false, madeAs(u)
	}
	for _, x := range gv.Versions {
		if gu.Best.Past.Spared(x.Dot) {
			return true, false
		}
	}
	return false, gu.Best.Class == merge.Strong && gu.Best.T < gv.Best.T
}

// bytesOf is the node whose register holds what is shown, and the versions there.
func (t *tx) bytesOf(s *merge.Shown) (NodeID, *merge.Group) {
	if s.Of != (NodeID{}) {
		return s.Of, s.Group
	}
	n := t.node(s.ID)
	if f := t.file(n); f != n {
		gs, _ := f.parts()
		return f.ID, &gs[0]
	}
	return s.ID, s.Group
}

// madeAs reports whether the bytes shown are those with which the file was made under this name.
func madeAs(s *merge.Shown) bool { return s.Group.Best.T == s.Place.T }
