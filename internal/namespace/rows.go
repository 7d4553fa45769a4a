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

// appendVersion appends the local form of a version: writers by number, the past short if it
// is only the version itself.
func (t *writerTable) appendVersion(b []byte, n NodeID, v *merge.Version) []byte {
	alone := len(v.Past.Vector) == 1 && len(v.Past.Except) == 0
	flags := byte(v.Class)
	if alone {
		flags |= 0x80
	}
	b = append(b, flags)
	b = t.appendDot(b, v.Dot)
	b = binary.BigEndian.AppendUint64(b, uint64(v.T))
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

func (t *writerTable) appendDot(b []byte, d Dot) []byte {
	return appendUvarint(appendUvarint(b, uint64(t.number(d.Writer))), d.Seq)
}

// rowDecoder reads local rows.
type rowDecoder struct {
	decoder
	writers []ident.Writer
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
	v := &merge.Version{Class: merge.Class(flags & 0x7f), Dot: d.dot()}
	if t := d.take(8); t != nil {
		v.T = merge.Stamp(binary.BigEndian.Uint64(t))
	}
	if flags&0x80 != 0 {
		v.Past.Vector = []Dot{v.Dot}
	} else {
		v.Past.Vector, v.Past.Except = d.dotList(), d.dotList()
	}
	d.value(id, v)
	return v
}

func (d *rowDecoder) register(id regID) merge.Register {
	n := d.count(12)
	if n == 0 {
		return nil
	}
	r := make(merge.Register, 0, n)
	for range n {
		r = append(r, d.version(id))
	}
	return r
}

func (t *writerTable) appendRegister(b []byte, n NodeID, r merge.Register) []byte {
	b = appendUvarint(b, uint64(len(r)))
	for _, v := range r {
		b = t.appendVersion(b, n, v)
	}
	return b
}

var nodeRegs = [...]regKind{regPlace, regBytes, regMode, regOwner, regTimes}

func (t *writerTable) encodeNode(n *merge.Node) []byte {
	b := append(make([]byte, 0, 256), rowVersion)
	for _, k := range nodeRegs {
		b = t.appendRegister(b, n.ID, *register(n, k))
	}
	return b
}

func decodeNode(id NodeID, row []byte, writers []ident.Writer, n *merge.Node) error {
	n.ID = id
	d := rowDecoder{decoder{b: row}, writers}
	version := d.byte()
	for _, k := range nodeRegs {
		*register(n, k) = d.register(regID{node: id, kind: k})
	}
	if !d.end() || version != rowVersion {
		return corruptRow("node")
	}
	return nil
}

// encodeSub and decodeSub are for rows of one register with a name of its own.
func (t *writerTable) encodeSub(id regID, r merge.Register) []byte {
	return t.appendRegister(appendString([]byte{rowVersion}, id.sub), id.node, r)
}

func decodeSub(node NodeID, kind regKind, row []byte, writers []ident.Writer) (regID, merge.Register, error) {
	d := rowDecoder{decoder{b: row}, writers}
	version := d.byte()
	id := regID{node: node, kind: kind, sub: d.string()}
	r := d.register(id)
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

func (r *nameRow) encode() []byte {
	b := appendString([]byte{rowVersion}, r.name)
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

// regName is how the rows of tableDots name a register.
func encodeReg(id regID) []byte {
	b := append([]byte{rowVersion}, id.node[:]...)
	return appendString(append(b, byte(id.kind)), id.sub)
}

func decodeReg(row []byte) (regID, error) {
	d := decoder{b: row}
	version := d.byte()
	id := regID{node: d.id(), kind: regKind(d.byte()), sub: d.string()}
	if !d.end() || version != rowVersion {
		return regID{}, corruptRow("dot")
	}
	return id, nil
}
