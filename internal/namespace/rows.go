package namespace

import (
	"encoding/binary"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

const rowVersion = 1

func corruptRow(table string) error {
	return errs.E("namespace.row", errs.Corrupt, table, nil)
}

// The flags of a version in a row, above its class.
const (
	flagAlone = 0x80 // the past is only the version itself
	flagNext  = 0x40 // of the same writer and stamp as the version before in the row, the next in sequence
	classMask = 0x3f
)

// appendVersion appends the local form of a version: writers by number, what most versions have in
// common by a flag. before is the version before it in the row.
func (t *writerTable) appendVersion(b []byte, n NodeID, v, before *merge.Version) []byte {
	flags := byte(v.Class)
	alone := len(v.Past.Vector) == 1 && len(v.Past.Except) == 0
	if alone {
		flags |= flagAlone
	}
	if before != nil && v.T == before.T && v.Dot == after(before.Dot) {
		b = append(b, flags|flagNext)
	} else {
		b = t.appendDot(append(b, flags), v.Dot)
		b = appendStamp(b, v.T)
	}
	if !alone {
		for _, list := range [][]Dot{v.Past.Vector, v.Past.Except} {
			b = appendUvarint(b, uint64(len(list)))
			for _, d := range list {
				b = t.appendDot(b, d)
			}
		}
	}
	return appendValue(b, n, v)
}

// after is the dot of the next write of its writer.
func after(d Dot) Dot { return Dot{Writer: d.Writer, Seq: d.Seq + 1} }

// appendStamp appends milliseconds and counter, of which the latter is nearly always small.
func appendStamp(b []byte, s merge.Stamp) []byte {
	return appendUvarint(appendUvarint(b, uint64(s>>16)), uint64(s&0xffff))
}

func (d *decoder) stamp() merge.Stamp {
	ms, n := d.uvarint(), d.uvarint()
	if ms >= 1<<48 || n > 0xffff {
		d.fail()
	}
	return merge.Stamp(ms<<16 | n)
}

func (t *writerTable) appendDot(b []byte, d Dot) []byte {
	return appendUvarint(appendUvarint(b, uint64(t.number(d.Writer))), d.Seq)
}

// rowDecoder reads local rows.
type rowDecoder struct {
	decoder
	writers []ident.Writer
	before  *merge.Version // the last that was read
}

func (d *rowDecoder) dot() Dot {
	n, seq := d.uvarint(), d.uvarint()
	if n >= uint64(len(d.writers)) {
		d.fail()
		return Dot{}
	}
	return Dot{Writer: d.writers[n], Seq: seq}
}

func (d *rowDecoder) dotList() []Dot {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	ds := make([]Dot, n)
	for i := range ds {
		ds[i] = d.dot()
	}
	return ds
}

func (d *rowDecoder) version(id regID) *merge.Version {
	flags := d.byte()
	x := &lone{v: merge.Version{Class: merge.Class(flags & classMask)}}
	v := &x.v
	switch {
	case flags&flagNext == 0:
		v.Dot, v.T = d.dot(), d.stamp()
	case d.before == nil:
		d.fail()
	default:
		v.Dot, v.T = after(d.before.Dot), d.before.T
	}
	if flags&flagAlone != 0 {
		x.past[0] = v.Dot
		v.Past.Vector = x.past[:]
	} else {
		v.Past.Vector, v.Past.Except = d.dotList(), d.dotList()
	}
	d.value(id, v)
	d.before = v
	return v
}

// lone is a version with room for the past that most have: only itself.
type lone struct {
	v    merge.Version
	past [1]Dot
}

// register reads n versions.
func (d *rowDecoder) register(id regID, n int) merge.Register {
	if n == 0 {
		return nil
	}
	r := make(merge.Register, n)
	for i := range r {
		r[i] = d.version(id)
	}
	return r
}

var nodeRegs = [...]regKind{regPlace, regBytes, regMode, regOwner, regTimes}

// A node's row: u8 version=2 | u8 which registers hold versions, by bits in the order of nodeRegs |
// for each its versions. If any holds more than one, bit 7 is set and their number stands before
// the versions of each.
const (
	nodeVersion = 2
	nodeSeveral = 0x80
)

// appendNode appends to an empty b.
func (t *writerTable) appendNode(b []byte, n *merge.Node) []byte {
	b = append(b, nodeVersion, 0)
	for i, k := range nodeRegs {
		switch r := *register(n, k); {
		case len(r) > 1:
			b[1] |= nodeSeveral | 1<<i
		case len(r) > 0:
			b[1] |= 1 << i
		}
	}
	several := b[1]&nodeSeveral != 0
	var before *merge.Version
	for _, k := range nodeRegs {
		r := *register(n, k)
		if several && len(r) > 0 {
			b = appendUvarint(b, uint64(len(r)))
		}
		for _, v := range r {
			b = t.appendVersion(b, n.ID, v, before)
			before = v
		}
	}
	return b
}

func decodeNode(id NodeID, row []byte, writers []ident.Writer, n *merge.Node) error {
	n.ID = id
	d := rowDecoder{decoder: decoder{b: row}, writers: writers}
	version, bits := d.byte(), d.byte()
	for i, k := range nodeRegs {
		count := int(bits >> i & 1)
		if bits&nodeSeveral != 0 && count > 0 {
			count = d.count(minVersion)
		}
		*register(n, k) = d.register(regID{node: id, kind: k}, count)
	}
	if !d.end() || version != nodeVersion || bits&^nodeSeveral >= 1<<len(nodeRegs) {
		return corruptRow("node")
	}
	return nil
}

// minVersion is how many bytes a version takes at least.
const minVersion = 1

// encodeSub and decodeSub are for rows of one register with a name of its own.
func (t *writerTable) encodeSub(id regID, r merge.Register) []byte {
	b := appendUvarint(appendString([]byte{rowVersion}, id.sub), uint64(len(r)))
	var before *merge.Version
	for _, v := range r {
		b = t.appendVersion(b, id.node, v, before)
		before = v
	}
	return b
}

func decodeSub(node NodeID, kind regKind, row []byte, writers []ident.Writer) (regID, merge.Register, error) {
	d := rowDecoder{decoder: decoder{b: row}, writers: writers}
	version := d.byte()
	id := regID{node: node, kind: kind, sub: d.string()}
	r := d.register(id, d.count(minVersion))
	if !d.end() || version != rowVersion || !validSub(id) {
		return regID{}, nil, corruptRow("register")
	}
	return id, r, nil
}

// nameRow lists the nodes that live in a directory under one stored name, by id.
type nameRow struct {
	name  string
	nodes []NodeID
}

func (r *nameRow) append(b []byte) []byte {
	b = appendString(append(b, rowVersion), r.name)
	for _, n := range r.nodes {
		b = append(b, n[:]...)
	}
	return b
}

func decodeName(row []byte) (nameRow, error) {
	d := decoder{b: row}
	version := d.byte()
	r := nameRow{name: d.string()}
	for len(d.b) > 0 {
		r.nodes = append(r.nodes, d.id())
	}
	if !d.end() || version != rowVersion || len(r.nodes) == 0 {
		return nameRow{}, corruptRow("name")
	}
	return r, nil
}

// dirs counts the directories among the nodes.
func (r *nameRow) dirs() (n int) {
	for _, id := range r.nodes {
		if id.IsDir() {
			n++
		}
	}
	return n
}

// dirRow is what is kept of a directory beside its registers.
type dirRow struct {
	kids    uint64      // nodes that live in it
	refs    uint64      // placements, of the dead too, that name it
	changed merge.Stamp // of the newest change of its entries
}

func (r dirRow) encode() []byte {
	b := appendUvarint(appendUvarint([]byte{rowVersion}, r.kids), r.refs)
	return binary.BigEndian.AppendUint64(b, uint64(r.changed))
}

func decodeDir(row []byte) (dirRow, error) {
	d := decoder{b: row}
	version := d.byte()
	r := dirRow{kids: d.uvarint(), refs: d.uvarint()}
	if t := d.take(8); t != nil {
		r.changed = merge.Stamp(binary.BigEndian.Uint64(t))
	}
	if !d.end() || version != rowVersion {
		return dirRow{}, corruptRow("directory")
	}
	return r, nil
}
