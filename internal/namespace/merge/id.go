package merge

import (
	"bytes"
	"encoding/hex"

	"github.com/shelffs/shelf/internal/ident"
)

// NodeID names a file or directory for ever, whatever it is called and wherever it lies.
// The low bit of the last byte says directory. The first eight bytes come from the directory
// of birth, so that siblings lie together in an ordered store.
type NodeID [16]byte

// Root is the directory that every share begins with. It has no registers.
var Root = NodeID{15: 1}

// IsDir reports whether n is a directory's id.
func (n NodeID) IsDir() bool { return n[15]&1 == 1 }

// IsZero reports whether n names nothing.
func (n NodeID) IsZero() bool { return n == NodeID{} }

// Compare orders ids by their bytes.
func (n NodeID) Compare(m NodeID) int { return bytes.Compare(n[:], m[:]) }

func (n NodeID) String() string { return hex.EncodeToString(n[:]) }

// Dot names one write: the writer's Seq-th, counted from 1.
type Dot struct {
	Writer ident.Writer
	Seq    uint64
}

// IsZero reports whether d names no write.
func (d Dot) IsZero() bool { return d.Seq == 0 }

// Compare orders dots by writer, then sequence.
func (d Dot) Compare(e Dot) int {
	if c := CompareWriters(d.Writer, e.Writer); c != 0 {
		return c
	}
	switch {
	case d.Seq < e.Seq:
		return -1
	case d.Seq > e.Seq:
		return 1
	}
	return 0
}

// CompareWriters orders writers by device, then incarnation.
func CompareWriters(a, b ident.Writer) int {
	if c := bytes.Compare(a.Device[:], b.Device[:]); c != 0 {
		return c
	}
	switch {
	case a.Incarnation < b.Incarnation:
		return -1
	case a.Incarnation > b.Incarnation:
		return 1
	}
	return 0
}
