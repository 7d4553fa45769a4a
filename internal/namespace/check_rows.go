package namespace

import (
	"encoding/binary"
	"reflect"
	"slices"

	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// derived is what the registers of a share make necessary in rows of their own.
type derived struct {
	state  state
	placed map[NodeID]bool     // what lives, and what it hangs on
	names  map[string][]NodeID // by the key of the row
	kids   map[NodeID]uint64
	refs   map[NodeID]uint64
	dead   map[NodeID]bool
	live   map[Dot]regID
	links  map[linkKey]bool
}

// rows compares the rows that the view is built from with the registers.
func (c *checker) rows() error {
	d := &derived{placed: map[NodeID]bool{}, names: map[string][]NodeID{}, kids: map[NodeID]uint64{}, refs: map[NodeID]uint64{}, dead: map[NodeID]bool{}, live: map[Dot]regID{}, links: map[linkKey]bool{}}
	c.derive(d)
	for _, check := range []func(*derived) error{c.names, c.severals, c.alikes, c.dirs, c.removals, c.subs, c.dots, c.links, c.counters, c.history} {
		if err := check(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) placeOf(n NodeID) *merge.Version {
	if x := c.nodes[n]; x != nil {
		return x.P.Winner()
	}
	return nil
}

func (c *checker) derive(d *derived) {
	d.state.cuts = merge.Redirect(c.pure.Cuts, c.placeOf)
	parent := func(n NodeID) NodeID {
		if to, ok := d.state.cuts[n]; ok {
			return to
		}
		return c.placeOf(n).Place.Parent
	}
	for id, n := range c.nodes {
		_, lent := c.pure.Lent[id]
		for up := id; !lent && n.Alive() && up != Root && !d.placed[up] && c.placeOf(up) != nil; up = parent(up) {
			d.placed[up] = true
			d.kids[parent(up)]++
		}
		for _, v := range n.P {
			d.refs[v.Place.Parent]++
			if !v.Place.Prev.IsZero() {
				d.refs[v.Place.Prev]++
			}
		}
		if hasRemovals(n) {
			d.dead[id] = true
		}
	}
	for id, n := range c.nodes {
		for _, k := range nodeRegs {
			d.addLive(regID{node: id, kind: k}, *register(n, k), d.counted(c, id))
		}
	}
	for id := range c.pure.Lent {
		if n := c.nodes[id]; n.Alive() {
			s := (&node{Node: *n, placed: true}).sum()
			d.state.count(false, &s, 1)
		}
	}
	for id := range d.placed {
		n := c.nodes[id]
		key := string(c.t.keys.name(parent(id), c.placeOf(id).Place.Name))
		d.names[key] = append(d.names[key], id)
		s := (&node{Node: *n, placed: true}).sum()
		d.state.count(id.IsDir(), &s, 1)
		if !s.link.IsZero() {
			d.state.links++
			d.links[linkKey{s.link, id}] = true
		}
		if id.IsDir() && !n.Alive() {
			c.tree.shape.Revenants++
		}
	}
	c.tree.shape.Cuts = len(d.state.cuts)
	for _, ids := range d.names {
		slices.SortFunc(ids, NodeID.Compare)
		if (&nameRow{nodes: ids}).dirs() > 1 {
			d.state.dirDups++
		}
	}
}

// counted tells whether the fingerprint counts a node.
func (d *derived) counted(c *checker, id NodeID) bool {
	n := c.nodes[id]
	return id == Root || d.placed[id] || n != nil && n.Alive()
}

func (d *derived) addLive(id regID, r merge.Register, counted bool) {
	for _, v := range r {
		d.live[v.Dot] = id
	}
	if counted {
		d.state.each(r, (*state).addDot)
	}
}

// removals compares the index of nodes with removals.
func (c *checker) removals(d *derived) error {
	n := 0
	err := c.scan(tableDead, func(k kv.Key, _ []byte) error {
		n++
		if !d.dead[NodeID(k)] {
			return differs("node %v is said to hold removals, and holds none", NodeID(k))
		}
		return nil
	})
	if err == nil && n != len(d.dead) {
		err = differs("%d nodes with removals are indexed, and %d are there", n, len(d.dead))
	}
	return err
}

func (c *checker) names(d *derived) error {
	n := 0
	err := c.scan(tableName, func(k kv.Key, row []byte) error {
		n++
		got, err := decodeName(row)
		want := d.names[string(append([]byte{tableName}, k...))]
		if err == nil && !slices.Equal(got.nodes, want) {
			err = differs("under the name %q stand %v, and should %v", got.name, got.nodes, want)
		}
		return err
	})
	if err == nil && n != len(d.names) {
		err = differs("%d rows of names, and should be %d", n, len(d.names))
	}
	return err
}

func (c *checker) dirs(d *derived) error {
	err := c.scan(tableDir, func(k kv.Key, row []byte) error {
		got, err := decodeDir(row)
		if err != nil {
			return err
		}
		id := NodeID(k)
		if got.kids != d.kids[id] || got.refs != d.refs[id] {
			return differs("directory %v counts %d nodes and %d placements, and has %d and %d", id, got.kids, got.refs, d.kids[id], d.refs[id])
		}
		delete(d.kids, id)
		delete(d.refs, id)
		return nil
	})
	for _, left := range []map[NodeID]uint64{d.kids, d.refs} {
		for id, n := range left {
			if err == nil {
				err = differs("directory %v has %d nodes or placements, and counts none", id, n)
			}
		}
	}
	return err
}

// subs takes in the registers that have rows of their own.
func (c *checker) subs(d *derived) error {
	if err := c.scan(tableBlind, func(_ kv.Key, row []byte) error {
		id, reg, err := decodeSub(NodeID{}, regBlind, row, c.t.writers)
		d.addLive(id, reg, false)
		return err
	}); err != nil {
		return err
	}
	for table, kind := range map[byte]regKind{tableXattr: regXattr, tablePolicy: regPolicy} {
		err := c.scan(table, func(k kv.Key, row []byte) error {
			if len(k) < len(NodeID{}) {
				return corruptRow("register")
			}
			id, reg, err := decodeSub(NodeID(k[:16]), kind, row, c.t.writers)
			if err != nil {
				return err
			}
			d.addLive(id, reg, d.counted(c, id.node))
			*d.state.subs(kind)++
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dots compares the index of live versions.
func (c *checker) dots(d *derived) error {
	n := 0
	err := c.scanKeys(tableDots, func(k kv.Key) error {
		n++
		if len(k) < dotKindAt {
			return corruptRow("dot")
		}
		order, writer, seq := int(k[1]), binary.BigEndian.Uint32(k[2:]), dotSeq(k)
		if int(writer) >= len(c.t.writers) {
			return corruptRow("dot")
		}
		dot := Dot{Writer: c.t.writers[writer], Seq: seq}
		got, err := c.t.keys.register(c.t.src, k)
		if err != nil {
			return err
		}
		if want, ok := d.live[dot]; !ok || want != got {
			return differs("write %d of %s is indexed in register %v, and is in %v", seq, dot.Writer.Device.Short(), got, want)
		}
		if v := c.t.held(got).Find(dot); v == nil || v.Class.Order() != order {
			return differs("write %d of %s is indexed in class %d", seq, dot.Writer.Device.Short(), order)
		}
		return nil
	})
	if err == nil && n != len(d.live) {
		err = differs("%d live versions are indexed, and %d are there", n, len(d.live))
	}
	return err
}

func (c *checker) links(d *derived) error {
	n := 0
	err := c.scan(tableLinks, func(k kv.Key, _ []byte) error {
		n++
		if len(k) != 32 || !d.links[linkKey{NodeID(k[:16]), NodeID(k[16:])}] {
			return differs("an index of a hard link that is not there: %x", []byte(k))
		}
		if !c.t.r.linked.may(NodeID(k[:16])) {
			return differs("a hard link that would not be looked for: %x", []byte(k))
		}
		return nil
	})
	if err == nil && n != len(d.links) {
		err = differs("%d hard links are indexed, and %d are there", n, len(d.links))
	}
	return err
}

// counters compares the sums, and the index of conflict copies with them.
func (c *checker) counters(d *derived) error {
	copies := map[NodeID]NodeID{} // of files without a place, too
	for id, n := range c.nodes {
		for _, copy := range (&node{Node: *n}).sum().copies {
			copies[copy] = id
		}
	}
	n := 0
	err := c.scan(tableOrigin, func(k kv.Key, row []byte) error {
		n++
		if of, ok := copies[NodeID(k)]; !ok || len(row) != 16 || of != NodeID(row) {
			return differs("conflict copy %x is said to be of %x, and is of %v", []byte(k), row, of)
		}
		return nil
	})
	if err == nil && n != len(copies) {
		err = differs("%d conflict copies are indexed, and %d are there", n, len(copies))
	}
	if err != nil {
		return err
	}
	d.state.copies = uint64(n)
	got := c.t.state
	if len(got.cuts) == 0 && len(d.state.cuts) == 0 {
		got.cuts, d.state.cuts = nil, nil
	}
	if !reflect.DeepEqual(got, d.state) {
		return differs("state\n%+v, and should be\n%+v", got, d.state)
	}
	return nil
}
