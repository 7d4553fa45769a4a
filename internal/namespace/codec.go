package namespace

import (
	"encoding/binary"
	"math"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

func appendUvarint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }
func appendVarint(b []byte, n int64) []byte   { return binary.AppendVarint(b, n) }

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder reads what the append functions wrote. After the first error everything reads as
// zero. It refuses numbers in a longer form than the shortest, so that every value has one
// encoding, and makes no allocation by a length that the input cannot fill.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

// end reports whether everything was read, without an error.
func (d *decoder) end() bool { return !d.bad && len(d.b) == 0 }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

func (d *decoder) uvarint32() uint32 {
	v := d.uvarint()
	if v > math.MaxUint32 {
		d.fail()
		return 0
	}
	return uint32(v)
}

// count reads the length of a list whose elements take at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

// take returns the next n bytes, in the input's memory.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail()
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) string() string { return string(d.take(d.count(1))) }

func (d *decoder) id() (id [16]byte) {
	copy(id[:], d.take(16))
	return id
}

// The flags of a placement.
const (
	placeAuto = 1
	placeGone = 2
)

// appendPlace appends a placement. Only directories have a previous parent, only files lose their
// name and not their bytes.
func appendPlace(b []byte, n NodeID, p *merge.Place) []byte {
	b = append(b, p.Parent[:]...)
	flags := byte(0)
	if p.Auto {
		flags |= placeAuto
	}
	if p.Gone {
		flags |= placeGone
	}
	b = append(b, flags)
	if n.IsDir() {
		b = append(b, p.Prev[:]...)
	}
	if p.Gone {
		b = appendUvarint(b, uint64(p.Took))
	}
	return appendString(b, p.Name)
}

func (d *decoder) place(n NodeID) *merge.Place {
	p := &merge.Place{Parent: d.id()}
	flags := d.byte()
	p.Auto, p.Gone = flags == placeAuto, flags == placeGone
	if n.IsDir() {
		p.Prev = d.id()
	}
	if p.Gone {
		p.Took = merge.Stamp(d.uvarint())
	}
	p.Name = d.string()
	if flags > placeGone || !validPlace(n, p) {
		d.fail()
	}
	return p
}

// appendBytes appends what identifies contents.
func appendBytes(b []byte, x merge.Bytes) []byte {
	b = append(b, byte(x.Kind))
	switch x.Kind {
	case File:
		b = append(b, x.Content.Depth)
		b = appendUvarint(b, x.Content.Size)
		if x.Content.Size > 0 {
			b = append(b, x.Content.Root[:]...)
		}
	case Symlink:
		b = appendString(b, x.Target)
	case CharDev, BlockDev:
		b = appendUvarint(b, uint64(x.Rdev))
	case merge.Link:
		b = append(b, x.Link[:]...)
	}
	return b
}

func (d *decoder) bytes(n NodeID) merge.Bytes {
	x := merge.Bytes{Kind: Kind(d.byte())}
	switch x.Kind {
	case File:
		x.Content.Depth = d.byte()
		x.Content.Size = d.uvarint()
		if x.Content.Size > 0 {
			copy(x.Content.Root[:], d.take(len(blocks.Digest{})))
		}
	case Symlink:
		x.Target = d.string()
	case CharDev, BlockDev:
		x.Rdev = d.uvarint32()
	case merge.Link:
		x.Link = d.id()
	}
	if !validBytes(n, x) {
		d.fail()
	}
	return x
}

// appendBody appends the value of a content register.
func appendBody(b []byte, x *merge.Body) []byte {
	b = appendBytes(b, x.Bytes)
	b = appendVarint(b, x.Mtime)
	b = appendUvarint(b, uint64(x.Mode))
	b = appendUvarint(b, uint64(x.UID))
	return appendUvarint(b, uint64(x.GID))
}

func (d *decoder) body(n NodeID) *merge.Body {
	x := &merge.Body{Bytes: d.bytes(n), Mtime: d.varint(), Mode: d.uvarint32(), UID: d.uvarint32(), GID: d.uvarint32()}
	if x.Mode > 07777 {
		d.fail()
	}
	return x
}

// appendValue appends what a version says, by its class.
func appendValue(b []byte, n NodeID, v *merge.Version) []byte {
	switch {
	case v.Class == merge.Set || v.Value != "": // or a record that a blind replica holds
		return appendString(b, v.Value)
	case v.Class == merge.Placed:
		return appendPlace(b, n, v.Place)
	case v.Class != merge.Nothing:
		return appendBody(b, v.Body)
	}
	return b
}

// value reads what a version of the register says into v, whose class is known.
func (d *decoder) value(id regID, v *merge.Version) {
	switch {
	case id.kind == regBlind:
		v.Value = d.string()
	case v.Class == merge.Placed && id.kind == regPlace:
		v.Place = d.place(id.node)
	case (v.Class == merge.Strong || v.Class == merge.Weak) && id.kind == regBytes && id.node != Root:
		v.Body = d.body(id.node)
	case v.Class == merge.Nothing && id.kind == regBytes && id.node != Root:
	case v.Class == merge.Set && id.kind >= regMode:
		if v.Value = d.string(); !d.bad && !validValue(id, v.Value) {
			d.fail()
		}
	default:
		d.fail()
	}
}
