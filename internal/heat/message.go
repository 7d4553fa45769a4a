package heat

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// Protocol is one frame on a stream of its own, sealed under the read key of the share, so that who has no keys
// learns nothing of it but its length:
//
//	0  1   version = 1
//	1  2   n, at most maxSet, u16be
//	3  n × (16 id of a file, strictly ascending; 1 level of its heat)
//
// It takes the place of what the sender said before; n = 0 takes it back.
const Protocol = "/shelf/heat/1"

const (
	setVersion = 1
	setHead    = 3
	setItem    = 17
	maxSet     = 256
	// setFrame is what a full set takes once it is padded and sealed, with room.
	setFrame = 8 << 10
)

// set is a working set: files and the levels of their heat.
type set map[namespace.NodeID]level

// level is a heat to within a fifth, so that a set is news only when it has really changed.
type level uint8

const (
	levelsPerDoubling = 4
	maxLevel          = levelsPerDoubling * 16 // of maxHeat
)

func levelOf(heat float64) level {
	return level(min(math.Round(levelsPerDoubling*math.Log2(16*max(heat, 1./16))), maxLevel))
}

func sortedNodes(s set) []namespace.NodeID {
	return slices.SortedFunc(maps.Keys(s), namespace.NodeID.Compare)
}

// heat is the inverse of levelOf, but for rounding.
func (l level) heat() float64 { return math.Exp2(float64(l)/levelsPerDoubling) / 16 }

func (s set) encode() []byte {
	b := make([]byte, setHead, setHead+setItem*len(s))
	b[0] = setVersion
	binary.BigEndian.PutUint16(b[1:], uint16(len(s)))
	for _, n := range sortedNodes(s) {
		b = append(append(b, n[:]...), byte(s[n]))
	}
	return b
}

// parseSet checks everything about what another device said. Protocol.
func parseSet(b []byte) (set, error) {
	const op = "heat.parse"
	if len(b) < setHead || b[0] != setVersion {
		return nil, errs.E(op, errs.Protocol, "version", nil)
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if n > maxSet || len(b) != setHead+setItem*n {
		return nil, errs.E(op, errs.Protocol, "length", nil)
	}
	s := make(set, n)
	var last namespace.NodeID
	for b = b[setHead:]; len(b) > 0; b = b[setItem:] {
		id := namespace.NodeID(b[:16])
		if id.Compare(last) <= 0 {
			return nil, errs.E(op, errs.Protocol, "order", nil)
		}
		if level(b[16]) > maxLevel {
			return nil, errs.E(op, errs.Protocol, "level", nil)
		}
		s[id], last = level(b[16]), id
	}
	return s, nil
}

// header binds a sealed set to its protocol and to who says it.
func header(from ident.DeviceID) []byte { return append([]byte(Protocol+"\x00"), from[:]...) }
