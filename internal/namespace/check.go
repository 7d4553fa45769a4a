package namespace

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Shape counts what is out of the ordinary in a view.
type Shape struct {
	Merged    int // names under which several directories are shown as one
	Cuts      int // directories that hang elsewhere because their moves made a cycle
	Revenants int // removed directories shown for what lives in them
	Copies    int // conflict copies that are no files of their own yet
	Displaced int // files shown under a derived name, another having theirs
	Twins     int // files hidden by one of the same name and bytes
	Links     int // hard links
	Nameless  int // files that only hard links show
}

// Check reads the whole share and compares what is shown with the view that the registers
// amount to, built from scratch by the pure rules, and every row that is derived from the
// registers with what it should be. Nothing changes meanwhile; it takes time and memory in
// proportion to the share. Corrupt: they differ; the error says where.
func (r *Replica) Check() error {
	_, err := r.check()
	return err
}

// CheckShape is Check, and counts what is rare.
func (r *Replica) CheckShape() (Shape, error) {
	v, err := r.check()
	return v.shape, err
}

// tree is a whole view.
type tree struct {
	kids  map[NodeID]map[string]Entry // by displayed directory, by name
	ids   map[NodeID]Entry            // conflict copies too; files by their first name
	shape Shape
}

func (r *Replica) check() (v tree, err error) {
	err = r.read(func(*tx) error {
		t := r.reader() // not one that has read before
		c := checker{t: t, tree: tree{kids: map[NodeID]map[string]Entry{}, ids: map[NodeID]Entry{}}}
		err := c.load()
		if err == nil {
			c.pure = merge.Build(c.nodes, r.names)
			err = c.folder(folder{Root, []NodeID{Root}})
		}
		if err == nil {
			err = c.rows()
		}
		v = c.tree
		return err
	})
	return v, err
}

// checker compares the view of a transaction with the registers.
type checker struct {
	t     *tx
	nodes map[NodeID]*merge.Node
	pure  *merge.Tree
	tree  tree
}

func differs(format string, args ...any) error {
	return errs.E("namespace.Check", errs.Corrupt, fmt.Sprintf(format, args...), nil)
}

// scan calls fn for every row of a table and passes its error on.
func (c *checker) scan(table byte, fn func(k kv.Key, row []byte) error) error {
	var bad error
	prefix := c.t.db.Key(table)
	err := c.t.src.Scan(prefix, func(k kv.Key, row []byte) bool {
		bad = fn(k[len(prefix):], row)
		return bad == nil
	})
	if bad != nil {
		return bad
	}
	return err
}

// scanKeys is scan for rows of which the key is all; fn gets the whole of it.
func (c *checker) scanKeys(table byte, fn func(k kv.Key) error) error {
	var bad error
	err := c.t.src.ScanKeys(c.t.db.Key(table), func(k kv.Key) bool {
		bad = fn(k)
		return bad == nil
	})
	if bad != nil {
		return bad
	}
	return err
}

// load reads all registers that lie in nodes, past every cache.
func (c *checker) load() error {
	c.nodes = map[NodeID]*merge.Node{}
	return c.scan(tableNode, func(k kv.Key, row []byte) error {
		n := &merge.Node{}
		if len(k) != len(n.ID) {
			return corruptRow("node")
		}
		err := decodeNode(NodeID(k), row, c.t.writers, n)
		c.nodes[n.ID] = n
		return err
	})
}

// folder compares a directory and all below it, entry by entry, and every way of reading with
// every other.
func (c *checker) folder(f folder) error {
	t := c.t
	want := map[string]Entry{}
	for _, s := range c.pure.Kids[f.id] {
		if _, twice := want[s.Name]; twice {
			return differs("%q is there twice in %v", s.Name, f.id)
		}
		want[s.Name] = t.entry(f, s)
	}
	got, err := c.list(f)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return differs("directory %v shows\n%sbut the rules say\n%s", f.id, describe(got), describe(want))
	}
	c.tree.kids[f.id] = got
	for _, s := range c.pure.Kids[f.id] {
		e := want[s.Name]
		if l, ok := t.lookup(f, s.Name); !ok || !reflect.DeepEqual(l, e) {
			return differs("%q in %v is looked up as %+v, and listed as %+v", s.Name, f.id, l, e)
		}
		c.count(s, e)
		if first := c.pure.Lent[e.ID]; s.ID != e.ID && s.ID != first && !slices.Contains(s.Twins, first) {
			continue // a hard link: shown as its file
		}
		if s.ID != e.ID {
			c.tree.shape.Nameless++
		}
		c.tree.ids[e.ID] = e
		if g, ok := t.entryOf(e.ID); !ok || !reflect.DeepEqual(g, e) {
			return differs("%v is found as %+v, and listed as %+v", e.ID, g, e)
		}
		if s.IsDir() {
			if err := c.folder(folder{s.ID, s.Members}); err != nil {
				return err
			}
		}
	}
	return t.err
}

// list reads a directory in small pages.
func (c *checker) list(f folder) (map[string]Entry, error) {
	out := map[string]Entry{}
	for after := uint64(0); ; {
		var page []DirEntry
		if len(f.members) == 1 {
			page = c.t.list(f, after, 2)
		} else {
			page = c.t.listMerged(f, after, 2)
		}
		if len(page) == 0 {
			return out, c.t.err
		}
		for _, e := range page {
			if e.Cookie <= after {
				return out, differs("cookie %d of %q in %v does not follow %d", e.Cookie, e.Name, f.id, after)
			}
			if _, twice := out[e.Name]; twice {
				return out, differs("%q is listed twice in %v", e.Name, f.id)
			}
			after, out[e.Name] = e.Cookie, e.Entry
		}
	}
}

func (c *checker) count(s *merge.Shown, e Entry) {
	x := &c.tree.shape
	x.Twins += len(s.Twins)
	switch {
	case len(s.Members) > 1:
		x.Merged++
	case s.Of != NodeID{}:
		x.Copies++
	case s.Displaced():
		x.Displaced++
	}
	if s.ID != e.ID {
		x.Links++
	}
}

func describe(m map[string]Entry) string {
	var b bytes.Buffer
	for _, n := range slices.Sorted(maps.Keys(m)) {
		e := m[n]
		fmt.Fprintf(&b, "  %q %+v %+v\n", n, e, e.Conflict)
	}
	return b.String()
}
