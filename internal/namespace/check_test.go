package namespace

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// nodesOf reads all registers of a replica.
func nodesOf(t testing.TB, r *Replica) map[NodeID]*merge.Node {
	t.Helper()
	nodes := map[NodeID]*merge.Node{}
	prefix := r.cfg.DB.Key(tableNode)
	var bad error
	err := r.cfg.DB.Scan(prefix, func(k kv.Key, row []byte) bool {
		n := &merge.Node{}
		bad = decodeNode(NodeID(k[len(prefix):]), row, r.writers, n)
		nodes[n.ID] = n
		return bad == nil
	})
	if err != nil || bad != nil {
		t.Fatal(err, bad)
	}
	return nodes
}

// tree is a whole view as a test sees it.
type tree struct {
	kids  map[NodeID]map[string]Entry
	twins uint64
	ids   map[NodeID]Entry // by id, of conflict copies too; of files by their first name
}

// checkView compares the incremental view with the pure one, entry by entry, and every way of
// reading with every other.
func checkView(t testing.TB, r *Replica) tree {
	t.Helper()
	nodes := nodesOf(t, r)
	pure := merge.Build(nodes, r.names)
	v := tree{kids: map[NodeID]map[string]Entry{}, ids: map[NodeID]Entry{}}
	x := r.reader()
	var walk func(f folder)
	walk = func(f folder) {
		want := map[string]Entry{}
		for _, s := range pure.Kids[f.id] {
			if _, twice := want[s.Name]; twice {
				t.Fatalf("%q twice in one directory", s.Name)
			}
			want[s.Name] = x.entry(f, s)
		}
		got := map[string]Entry{}
		for after := uint64(0); ; {
			page := must(r.List(f.id, after, 2))
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				if e.Cookie <= after {
					t.Fatalf("cookie %d after %d", e.Cookie, after)
				}
				after = e.Cookie
				got[e.Name] = e.Entry
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("directory %v\nincremental:\n%s\npure:\n%s", f.id, dumpEntries(got), dumpEntries(want))
		}
		v.kids[f.id] = got
		for name, e := range got {
			if l, err := r.Lookup(f.id, name); err != nil || !reflect.DeepEqual(l, e) {
				t.Fatalf("lookup %q: %+v, %v, want %+v", name, l, err, e)
			}
		}
		for _, s := range pure.Kids[f.id] {
			e := want[s.Name]
			v.twins += uint64(len(s.Twins))
			if s.ID == e.ID {
				v.ids[s.ID] = e
				if g, err := r.Get(s.ID); err != nil || !reflect.DeepEqual(g, e) {
					t.Fatalf("get %q: %+v, %v, want %+v", s.Name, g, err, e)
				}
				if again, err := r.Resolve(must(r.Path(s.ID))); err != nil || again.ID != s.ID {
					t.Fatalf("path of %q: %v", s.Name, err)
				}
			}
			if s.IsDir() {
				walk(folder{s.ID, s.Members})
			}
		}
	}
	walk(folder{Root, []NodeID{Root}})
	checkRows(t, r, nodes, pure)
	return v
}

func dumpEntries(m map[string]Entry) (out string) {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		e := m[n]
		out += fmt.Sprintf("  %q %+v %+v\n", n, e, e.Conflict)
	}
	return out
}

// checkRows compares the rows that the view is built from with the registers.
func checkRows(t testing.TB, r *Replica, nodes map[NodeID]*merge.Node, pure *merge.Tree) {
	t.Helper()
	var want state
	want.cuts = map[NodeID]NodeID{}
	places := func(n NodeID) *merge.Version {
		if x := nodes[n]; x != nil {
			return x.P.Winner()
		}
		return nil
	}
	want.cuts = merge.Redirect(pure.Cuts, places)
	// who lives, by counting down from the leaves
	kids := map[NodeID]int{}
	var raise func(n NodeID)
	placed := map[NodeID]bool{}
	parent := func(n NodeID) NodeID {
		if to, ok := want.cuts[n]; ok {
			return to
		}
		return places(n).Place.Parent
	}
	raise = func(n NodeID) {
		if n == Root || placed[n] || places(n) == nil {
			return
		}
		placed[n] = true
		kids[parent(n)]++
		raise(parent(n))
	}
	names := map[string][]NodeID{}
	dots := 0
	for id, n := range nodes {
		if n.Alive() {
			raise(id)
		}
		for _, k := range nodeRegs {
			for _, v := range *register(n, k) {
				want.addDot(v.Dot)
				dots++
			}
		}
	}
	for id := range placed {
		n := nodes[id]
		k := hex.EncodeToString(r.keys.name(parent(id), places(id).Place.Name))
		names[k] = append(names[k], id)
		s := (&node{Node: *n, placed: true}).sum()
		want.count(id.IsDir(), &s, 1)
		want.copies += uint64(len(s.copies))
		if !s.link.IsZero() {
			want.links++
		}
	}
	for _, ids := range names {
		if (&nameRow{nodes: ids}).dirs() > 1 {
			want.dirDups++
		}
	}
	count := func(table byte, fn func(k kv.Key, row []byte)) (n int) {
		must(0, r.cfg.DB.Scan(r.cfg.DB.Key(table), func(k kv.Key, row []byte) bool {
			n++
			if fn != nil {
				fn(k, row)
			}
			return true
		}))
		return n
	}
	rows := count(tableName, func(k kv.Key, row []byte) {
		got := must(decodeName(row))
		ids := names[hex.EncodeToString(k)]
		slices.SortFunc(ids, NodeID.Compare)
		if !slices.Equal(got.nodes, ids) {
			t.Fatalf("row of %q: %v, want %v", got.name, got.nodes, ids)
		}
	})
	if rows != len(names) {
		t.Fatalf("%d rows of names, want %d", rows, len(names))
	}
	count(tableDir, func(k kv.Key, row []byte) {
		if d := must(decodeDir(row)); int(d.kids) != kids[NodeID(k[1:])] {
			t.Fatalf("%d kids, want %d", d.kids, kids[NodeID(k[1:])])
		}
	})
	sub := func(kind regKind) func(k kv.Key, row []byte) {
		return func(k kv.Key, row []byte) {
			_, reg, err := decodeSub(NodeID(k[1:17]), kind, row, r.writers)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range reg {
				want.addDot(v.Dot)
				dots++
			}
		}
	}
	count(tableXattr, sub(regXattr))
	want.policies = uint64(count(tablePolicy, sub(regPolicy)))
	if n := count(tableDots, nil); n != dots {
		t.Fatalf("%d dots indexed, want %d", n, dots)
	}
	if n := count(tableLinks, nil); n != int(want.links) {
		t.Fatalf("%d links indexed, want %d", n, want.links)
	}
	got := r.state
	if len(got.cuts) == 0 && len(want.cuts) == 0 {
		got.cuts, want.cuts = nil, nil
	}
	// copies of files that have no place yet are counted, too
	if n := count(tableOrigin, nil); n != int(got.copies) || got.copies < want.copies {
		t.Fatalf("%d copies indexed, %d counted, want %d", n, got.copies, want.copies)
	}
	want.copies = got.copies
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("state\n%+v, want\n%+v", got, want)
	}
}
