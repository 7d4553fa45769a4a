package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// tx reads the replica as it was when the transaction began and, if it is one that writes,
// with its own changes over it. Everything is decoded once and kept for the transaction; a
// writing one turns it into rows at the end (commit.go). The first error of the store sticks:
// after it reads come up empty, and the transaction must not be committed.
//
// One goroutine at a time. A writing transaction is only used under Replica.writing.
type tx struct {
	keys
	r       *Replica
	src     kv.Reader
	caches  *caches        // nil: src is not the present state
	writers []ident.Writer // for decoding
	state   state
	err     error
	row     []byte     // the last that was read
	made    []byte     // the last that was made to be written
	key     kv.Key     // its key
	spare   []changing // for nodes to come
	scratch *scratch   // whose memory that is; nil: its own

	doubtful func(Dot) bool // see merge.Register.Insert

	nodes map[NodeID]*node
	names map[nameKey]*name
	dirs  map[NodeID]*dir
	subs  map[regID]*sub

	*changes // nil: reads only
}

type nameKey struct {
	parent NodeID
	name   string
}

// node is a node's registers and where it is placed.
type node struct {
	merge.Node
	dirty  bool
	placed bool    // its id stands in the row of at, or that of the link by which it is shown
	at     nameKey // where it lives, after cuts
	by     NodeID  // of a nameless file: the link that stands in the row of at (N18)

	split  bool // groups is valid
	groups []merge.Group
	rest   []*merge.Version

	queued    bool   // waits for settle
	rawParent NodeID // as settle last saw it
	*prior           // nil: nothing is written
}

// prior is what a node was before the transaction.
type prior struct {
	was     sum
	before  merge.Node
	indexed indexed
}

// changing is a node of a transaction that writes.
type changing struct {
	node
	was prior
}

func (c *changing) begin() *node {
	c.node.prior = &c.was
	return &c.node
}

// indexed is what index, and lend of a living link, last saw of a node.
type indexed struct {
	placed bool
	link   NodeID
	copies []NodeID
}

type name struct {
	nameRow
	key   kv.Key
	dirty bool
	was   []NodeID
}

type dir struct {
	dirRow
	dirty bool
}

type sub struct {
	reg   merge.Register
	was   merge.Register
	dirty bool
}

// bare reports whether no register of the node itself holds anything.
func (n *node) bare() bool {
	return len(n.P) == 0 && len(n.C) == 0 && len(n.Mode) == 0 && len(n.Owner) == 0 && len(n.Times) == 0
}

// fail keeps the first error.
func (t *tx) fail(err error) {
	if t.err == nil && err != nil {
		t.err = err
	}
}

// get reads a row, valid until the next one is read; nil if there is none.
func (t *tx) get(k kv.Key) []byte {
	b, err := t.src.GetAppend(t.row[:0], k)
	if err != nil {
		if !errs.Is(err, errs.NotExist) {
			t.fail(err)
		}
		return nil
	}
	t.row = b
	return b
}

// node returns a node, with empty registers if nothing is known of it.
func (t *tx) node(id NodeID) *node {
	if n := t.nodes[id]; n != nil {
		return n
	}
	n := t.fresh(id)
	n.Node = t.loadNode(id)
	t.loaded(n)
	return n
}

// loaded makes the rest of a node that has its registers.
func (t *tx) loaded(n *node) {
	if p := n.P.Winner(); p != nil {
		n.rawParent = p.Place.Parent
		n.at, n.by = t.target(n)
		n.placed = t.supported(n)
	}
	if t.changes != nil {
		n.was, n.before = n.sum(), n.Node
		n.indexed = indexed{n.was.placed, n.was.link, n.was.copies}
	}
}

// expect makes ready for the changes of records.
func (t *tx) expect(recs []verified) {
	ids := make([]NodeID, 0, len(recs))
	for _, x := range recs {
		if x.id.inNode() {
			ids = append(ids, x.id.node)
		}
	}
	m := t.r.scratch.reserve(len(recs))
	t.scratch, t.nodes, t.names, t.dotRows, t.spare = m, m.nodes, m.names, m.dotRows, m.spare
	t.nodesAhead(ids)
}

// fresh returns a node of which nothing is known.
func (t *tx) fresh(id NodeID) *node {
	if t.nodes == nil {
		t.nodes = make(map[NodeID]*node)
	}
	var n *node
	switch {
	case t.changes == nil:
		n = &node{}
	case len(t.spare) > 0:
		n, t.spare = t.spare[0].begin(), t.spare[1:]
	default:
		n = new(changing).begin()
	}
	n.ID = id
	t.nodes[id] = n
	return n
}

// loadNode reads a node's registers.
func (t *tx) loadNode(id NodeID) merge.Node {
	if t.caches != nil {
		if n, ok := t.caches.nodes.get(id); ok {
			return n
		}
	}
	n := merge.Node{ID: id}
	row := t.get(t.keys.node(id))
	if row == nil {
		return n
	}
	if err := decodeNode(id, row, t.writers, &n); err != nil {
		t.fail(err)
	} else if t.caches != nil {
		t.caches.nodes.set(id, n)
	}
	return n
}

// target is where a node whose placement is known belongs: a nameless file with its first link.
func (t *tx) target(n *node) (at nameKey, by NodeID) {
	p := n.P.Winner().Place
	if p.Gone && n.Nameless() {
		if by = t.firstLink(n.ID); !by.IsZero() {
			p = t.node(by).P.Winner().Place
		}
	}
	if to, cut := t.state.cuts[n.ID]; cut {
		return nameKey{to, p.Name}, by
	}
	return nameKey{p.Parent, p.Name}, by
}

// supported reports whether a node exists, or something that exists lives in it.
func (t *tx) supported(n *node) bool {
	return n.Alive() || n.ID.IsDir() && t.dir(n.ID).kids > 0
}

// parts splits the content register.
func (n *node) parts() ([]merge.Group, []*merge.Version) {
	if !n.split {
		n.groups, n.rest = merge.Groups(n.C)
		n.split = true
	}
	return n.groups, n.rest
}

func (n *node) sum() sum {
	s := sum{placed: n.placed, alive: n.Alive()}
	if n.ID.IsDir() {
		return s
	}
	gs, _ := n.parts()
	if len(gs) == 0 {
		return s
	}
	s.bytes = gs[0].Bytes
	s.size = s.bytes.Content.Size
	s.link = n.link()
	for _, g := range gs[1:] {
		s.copies = append(s.copies, merge.CopyID(n.ID, &g))
	}
	return s
}

// name returns the row of a name; without nodes if there is none.
func (t *tx) name(parent NodeID, s string) *name {
	k := nameKey{parent, s}
	if x := t.names[k]; x != nil {
		return x
	}
	x := &name{nameRow: nameRow{name: s}, key: t.keys.name(parent, s)}
	if row := t.get(x.key); row != nil {
		t.fail(x.load(row))
	}
	t.setName(k, x)
	return x
}

// load takes what the store has.
func (x *name) load(row []byte) (err error) {
	x.nameRow, err = decodeName(row)
	x.was = slices.Clone(x.nodes)
	return err
}

func (t *tx) setName(k nameKey, x *name) {
	if t.names == nil {
		t.names = make(map[nameKey]*name)
	}
	t.names[k] = x
}

// dir returns what is kept of a directory.
func (t *tx) dir(id NodeID) *dir {
	if d := t.dirs[id]; d != nil {
		return d
	}
	d := &dir{dirRow: t.loadDir(id)}
	if t.dirs == nil {
		t.dirs = make(map[NodeID]*dir)
	}
	t.dirs[id] = d
	return d
}

func (t *tx) loadDir(id NodeID) (d dirRow) {
	if t.caches != nil {
		if d, ok := t.caches.dirs.get(id); ok {
			return d
		}
	}
	row := t.get(t.keys.dir(id))
	if row == nil {
		return d
	}
	d, err := decodeDir(row)
	if err != nil {
		t.fail(err)
	} else if t.caches != nil {
		t.caches.dirs.set(id, d)
	}
	return d
}

// sub returns a register that has a row of its own.
func (t *tx) sub(id regID) *sub {
	if s := t.subs[id]; s != nil {
		return s
	}
	s := &sub{}
	if row := t.get(t.keys.sub(id)); row != nil {
		got, reg, err := decodeSub(id.node, id.kind, row, t.writers)
		if err == nil && got != id {
			err = corruptRow("register")
		}
		t.fail(err)
		s.reg, s.was = reg, reg
	}
	if t.subs == nil {
		t.subs = make(map[regID]*sub)
	}
	t.subs[id] = s
	return s
}
