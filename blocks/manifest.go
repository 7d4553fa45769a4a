package blocks

import (
	"encoding/binary"
	"math"

	"github.com/shelffs/shelf/internal/errs"
)

const (
	// MaxChildren is the largest number of children of one manifest.
	MaxChildren = 8192
	// MaxDepth is the largest number of manifest levels above the data blocks.
	MaxDepth = 4
	// MaxSize is the largest file, in bytes: what a signed file offset can say.
	MaxSize = math.MaxInt64

	manifestVersion = 1
	manifestSums    = 2 // some data block has sums
	manifestHead    = 16
	refBytes        = 40
	sumsFlag        = 1 << 63 // in a length: sums follow
)

// Ref names one child of a manifest and says how many bytes of the file it stands for
// (plaintext, padding not counted). A zero Digest is a hole: Length zero bytes that are
// stored nowhere.
//
// Sums lets a part of a data block be read without the rest of it (part.go): SumLen bytes
// for each of its Parts, or nothing: where there is but one, above level 0, and in what
// older versions wrote.
type Ref struct {
	Digest Digest
	Length uint64
	Sums   string
}

// IsHole reports whether r stands for zero bytes that no block holds.
func (r Ref) IsHole() bool { return r.Digest.IsZero() }

// Manifest lists the parts of a file, or of a stretch of it, in order. At level 0 the
// children are data blocks and holes; at level n they are manifests of level n-1.
//
// Its bytes, all integers big-endian:
//
//	u8 version | u8 level | u16 0 | u64 size | u32 count | count × (digest 32, length u64) | sums
//
// Version 2 is that of a manifest in which some child has sums: its length has the highest bit set, and its
// Parts(length) × 16 bytes stand behind all children, in their order. Without any it is version 1.
type Manifest struct {
	Level    uint8
	Size     uint64 // the sum of the children's lengths
	Children []Ref
}

// Content names the bytes of a file. Depth 0: Root is the only data block, or zero for
// Size bytes of hole (an empty file: the zero Content). Depth n: Root is a manifest of
// level n-1.
type Content struct {
	Root  Digest
	Depth uint8
	Size  uint64
}

// Append appends the manifest's bytes to dst. What breaks the rules of ParseManifest is
// written all the same; the reader will refuse it.
func (m Manifest) Append(dst []byte) []byte {
	head := len(dst)
	dst = append(dst, manifestVersion, m.Level, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, m.Size)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.Children)))
	for i := range m.Children {
		length := m.Children[i].Length
		if m.Children[i].Sums != "" {
			dst[head] = manifestSums
			length |= sumsFlag
		}
		dst = append(dst, m.Children[i].Digest[:]...)
		dst = binary.BigEndian.AppendUint64(dst, length)
	}
	for i := range m.Children {
		dst = append(dst, m.Children[i].Sums...)
	}
	return dst
}

// EncodedLen is the number of bytes that Append adds.
func (m Manifest) EncodedLen() int {
	n := manifestHead + refBytes*len(m.Children)
	for i := range m.Children {
		n += len(m.Children[i].Sums)
	}
	return n
}

// ParseManifest reads exactly one manifest that fills b. It refuses, as Corrupt, whatever
// Append would not have written for a proper file: other versions, levels of MaxDepth and
// more, no children or more than MaxChildren, empty children, data blocks longer than a
// sealed block can hold, holes above level 0, sums of what has no parts, and a size that is not the exact sum.
func ParseManifest(b []byte) (Manifest, error) {
	n, err := ManifestLen(b)
	if err != nil || n != len(b) {
		return Manifest{}, badManifest("length")
	}
	m := Manifest{Level: b[1], Size: binary.BigEndian.Uint64(b[4:]), Children: make([]Ref, binary.BigEndian.Uint32(b[12:]))}
	sums := string(b[manifestHead+refBytes*len(m.Children):])
	var sum uint64
	for i := range m.Children {
		r := &m.Children[i]
		p := b[manifestHead+refBytes*i:]
		r.Digest, r.Length = Digest(p[:32]), binary.BigEndian.Uint64(p[32:])
		if k := sumsLen(b, i); k > 0 {
			r.Length, r.Sums, sums = r.Length&^sumsFlag, sums[:k], sums[k:]
		}
		switch {
		case r.Length == 0 || r.Length > MaxSize-sum:
			return Manifest{}, badManifest("child's length")
		case r.IsHole() && m.Level > 0:
			return Manifest{}, badManifest("hole among manifests")
		case !r.IsHole() && m.Level == 0 && r.Length > MaxSealed:
			return Manifest{}, badManifest("data block too long")
		}
		sum += r.Length
	}
	if sum != m.Size {
		return Manifest{}, badManifest("sum")
	}
	return m, nil
}

// ManifestLen tells from a manifest's head and children how long it is, so that it can be cut
// out of padding; it may be longer than b. Corrupt when b cannot be the beginning of a manifest.
func ManifestLen(b []byte) (int, error) {
	if len(b) < manifestHead || b[0] != manifestVersion && (b[0] != manifestSums || b[1] != 0) || b[1] >= MaxDepth || b[2] != 0 || b[3] != 0 {
		return 0, badManifest("head")
	}
	count := int(min(binary.BigEndian.Uint32(b[12:]), MaxChildren+1))
	if count == 0 || count > MaxChildren {
		return 0, badManifest("count")
	}
	n := manifestHead + refBytes*count
	if b[0] == manifestVersion || len(b) < n {
		return n, nil
	}
	sums := 0
	for i := range count {
		sums += sumsLen(b, i)
	}
	if sums == 0 {
		return 0, badManifest("no sums")
	}
	return n + sums, nil
}

// sumsLen is how many bytes of sums child i of the manifest b has. A child that must not have any has none: then the
// flag is part of its length, which is too large.
func sumsLen(b []byte, i int) int {
	p := b[manifestHead+refBytes*i:]
	length := binary.BigEndian.Uint64(p[32:])
	if b[0] != manifestSums || length&sumsFlag == 0 || Digest(p[:32]).IsZero() {
		return 0
	}
	if n := Parts(length &^ sumsFlag); n > 1 && length&^sumsFlag <= MaxSealed {
		return SumLen * n
	}
	return 0
}

func badManifest(what string) error { return errs.E("blocks.ParseManifest", errs.Corrupt, what, nil) }
