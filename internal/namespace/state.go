package namespace

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"

	"github.com/shelffs/shelf/internal/namespace/merge"
)

// state is one small row that changes with every transaction: sums, and counts that are nearly
// always zero and so keep the rare cases out of the common paths.
type state struct {
	totals   Totals
	dirDups  uint64            // names under which several directories live: merged ones exist
	zombies  uint64            // removed directories shown for their contents
	copies   uint64            // rows of tableOrigin
	links    uint64            // rows of tableLinks
	policies uint64            // placement registers
	xattrs   uint64            // registers of xattrs
	print    [16]byte          // fingerprint of all live versions
	cuts     map[NodeID]NodeID // where nodes at which cycles are cut hang instead; never changed in place
}

func (s *state) counters() []*uint64 {
	return []*uint64{&s.totals.Files, &s.totals.Dirs, &s.totals.Bytes, &s.dirDups, &s.zombies, &s.copies, &s.links, &s.policies, &s.xattrs}
}

func (s *state) encode() []byte {
	b := []byte{rowVersion}
	for _, c := range s.counters() {
		b = appendUvarint(b, *c)
	}
	b = append(b, s.print[:]...)
	for _, c := range slices.SortedFunc(maps.Keys(s.cuts), NodeID.Compare) {
		to := s.cuts[c]
		b = append(append(b, c[:]...), to[:]...)
	}
	return b
}

func (s *state) decode(row []byte) error {
	d := decoder{b: row}
	version := d.byte()
	for _, c := range s.counters() {
		*c = d.uvarint()
	}
	s.print = d.id()
	for len(d.b) > 0 {
		if s.cuts == nil {
			s.cuts = map[NodeID]NodeID{}
		}
		c := NodeID(d.id())
		s.cuts[c] = d.id()
	}
	if !d.end() || version != rowVersion {
		return corruptRow("state")
	}
	return nil
}

// subs counts the registers of a kind that have rows of their own; nil: nobody counts them.
func (s *state) subs(k regKind) *uint64 {
	switch k {
	case regXattr:
		return &s.xattrs
	case regPolicy:
		return &s.policies
	}
	return nil
}

// addDot and dropDot keep the fingerprint: the sum, modulo 2^128, of hashes of dots.
func (s *state) addDot(d Dot) {
	h := hashDot(d)
	lo, carry := bits.Add64(binary.LittleEndian.Uint64(s.print[:]), binary.LittleEndian.Uint64(h[:]), 0)
	hi, _ := bits.Add64(binary.LittleEndian.Uint64(s.print[8:]), binary.LittleEndian.Uint64(h[8:]), carry)
	binary.LittleEndian.PutUint64(s.print[:], lo)
	binary.LittleEndian.PutUint64(s.print[8:], hi)
}

func (s *state) dropDot(d Dot) {
	h := hashDot(d)
	lo, borrow := bits.Sub64(binary.LittleEndian.Uint64(s.print[:]), binary.LittleEndian.Uint64(h[:]), 0)
	hi, _ := bits.Sub64(binary.LittleEndian.Uint64(s.print[8:]), binary.LittleEndian.Uint64(h[8:]), borrow)
	binary.LittleEndian.PutUint64(s.print[:], lo)
	binary.LittleEndian.PutUint64(s.print[8:], hi)
}

func hashDot(d Dot) [32]byte {
	b := d.Writer.Append(make([]byte, 0, 64))
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, d.Seq))
}

// sum is what one node adds to the state.
type sum struct {
	placed bool
	alive  bool
	size   uint64
	bytes  merge.Bytes
	link   NodeID   // the file that the node is a hard link to
	copies []NodeID // ids of its virtual conflict copies, written out or not
}

// count adds (sign 1) or takes away (sign -1) what a node contributes.
func (s *state) count(dir bool, x *sum, sign uint64) {
	if !x.placed {
		return
	}
	switch {
	case dir:
		s.totals.Dirs += sign
		if !x.alive {
			s.zombies += sign
		}
	case x.link.IsZero():
		s.totals.Files += sign
		s.totals.Bytes += sign * x.size
	}
}
