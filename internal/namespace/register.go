package namespace

import (
	"crypto/sha256"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// regKind says what a register of a node holds. The numbers are part of the record format.
type regKind uint8

const (
	regPlace  regKind = 1
	regBytes  regKind = 2
	regMode   regKind = 3
	regOwner  regKind = 4
	regTimes  regKind = 5
	regXattr  regKind = 6 // one for each name
	regPolicy regKind = 7 // placement on a device: one for each device

	regBlind regKind = 255 // any, held without a key: sub is the register's hidden name
)

// regID names a register: of which node, what, and for xattrs and policies which.
type regID struct {
	node NodeID
	kind regKind
	sub  string
}

// name is the register's name within its node, as the PRF that hides it sees it.
func (id regID) name() []byte { return append([]byte{byte(id.kind)}, id.sub...) }

// inNode reports whether the register lies in its node's row.
func (id regID) inNode() bool { return id.kind >= regPlace && id.kind <= regTimes }

// register returns where n keeps the register; id.inNode must hold.
func register(n *merge.Node, k regKind) *merge.Register {
	switch k {
	case regPlace:
		return &n.P
	case regBytes:
		return &n.C
	case regMode:
		return &n.Mode
	case regOwner:
		return &n.Owner
	}
	return &n.Times
}

// The values of attribute registers.
type (
	owner struct{ uid, gid uint32 }
	times struct {
		of           [16]byte // hashBytes of the contents that the mtime belongs to (N11)
		atime, mtime int64
	}
)

func encodeMode(mode uint32) string { return string(appendUvarint(nil, uint64(mode))) }

func decodeMode(s string) (uint32, bool) {
	d := decoder{b: []byte(s)}
	m := d.uvarint32()
	return m, d.end() && m <= 07777
}

func encodeOwner(o owner) string {
	return string(appendUvarint(appendUvarint(nil, uint64(o.uid)), uint64(o.gid)))
}

func decodeOwner(s string) (owner, bool) {
	d := decoder{b: []byte(s)}
	o := owner{d.uvarint32(), d.uvarint32()}
	return o, d.end()
}

func encodeTimes(t times) string {
	b := append([]byte(nil), t.of[:]...)
	return string(appendVarint(appendVarint(b, t.atime), t.mtime))
}

func decodeTimes(s string) (times, bool) {
	d := decoder{b: []byte(s)}
	t := times{of: d.id(), atime: d.varint(), mtime: d.varint()}
	return t, d.end()
}

// encodeXattr marks a value as present; the empty string is an attribute removed.
func encodeXattr(value []byte) string { return "\x01" + string(value) }

func decodeXattr(s string) (value []byte, present, ok bool) {
	if s == "" {
		return nil, false, true
	}
	return []byte(s[1:]), true, s[0] == 1 && len(s)-1 <= MaxXattr
}

func encodePolicy(p Placement) string { return string([]byte{byte(p)}) }

func decodePolicy(s string) (Placement, bool) {
	if len(s) != 1 || Placement(s[0]) > Automatic {
		return Inherited, false
	}
	return Placement(s[0]), true
}

// validValue checks an attribute's value.
func validValue(id regID, v string) bool {
	ok := false
	switch id.kind {
	case regMode:
		_, ok = decodeMode(v)
	case regOwner:
		_, ok = decodeOwner(v)
	case regTimes:
		_, ok = decodeTimes(v)
	case regXattr:
		_, _, ok = decodeXattr(v)
	case regPolicy:
		_, ok = decodePolicy(v)
	}
	return ok
}

// validSub checks the part of a register's name that is free.
func validSub(id regID) bool {
	switch id.kind {
	case regXattr:
		return len(id.sub) > 0 && len(id.sub) <= MaxName
	case regBlind:
		return len(id.sub) == 16
	case regPolicy:
		return len(id.sub) == len(ident.DeviceID{})
	}
	return id.sub == ""
}

// hashBytes stands for contents where only equality matters.
func hashBytes(b merge.Bytes) [16]byte {
	sum := sha256.Sum256(appendBytes([]byte("shelf1/bytes\x00"), b))
	return [16]byte(sum[:16])
}

// validName checks a file name.
func validName(s string) bool {
	if s == "" || len(s) > MaxName || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		if s[i] == '/' || s[i] == 0 {
			return false
		}
	}
	return true
}

// validBytes checks contents against the kind of node that its id says.
func validBytes(n NodeID, b merge.Bytes) bool {
	if (b.Kind == Dir) != n.IsDir() {
		return false
	}
	if b.Kind != File && b.Content != (blocks.Content{}) || b.Kind != Symlink && b.Target != "" ||
		b.Kind != CharDev && b.Kind != BlockDev && b.Rdev != 0 || b.Kind != merge.Link && !b.Link.IsZero() {
		return false
	}
	switch b.Kind {
	case File:
		c := b.Content
		return c.Size <= blocks.MaxSize && c.Depth <= blocks.MaxDepth && (!c.Root.IsZero() || c.Depth == 0) && (c.Size > 0 || c.Root.IsZero())
	case Symlink:
		return b.Target != "" && len(b.Target) <= MaxTarget && validTarget(b.Target)
	case merge.Link:
		return !b.Link.IsZero() && !b.Link.IsDir() && b.Link != n
	case Dir, Fifo, Socket, CharDev, BlockDev:
		return true
	}
	return false
}

func validTarget(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return false
		}
	}
	return true
}

// validPlace checks a placement.
func validPlace(n NodeID, p *merge.Place) bool {
	return n != Root && validName(p.Name) && p.Parent.IsDir() && (p.Prev.IsZero() || n.IsDir() && p.Prev.IsDir()) && !(p.Gone && n.IsDir())
}
