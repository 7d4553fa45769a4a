package merge

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Group is all versions of a content register that hold equal bytes.
type Group struct {
	Bytes    Bytes
	Versions []*Version
	Best     *Version // the one with the newest stamp among those that opened the group
	Least    Dot      // the smallest strong dot: it names the copy
}

// Groups splits a content register (N2, N3). groups[0] is the file, the others are its virtual
// conflict copies, newest first; none means that the node does not exist. rest are the
// versions shown nowhere (removals, weak versions without bytes of their own): every write
// to the file covers them.
func Groups(c Register) (groups []Group, rest []*Version) {
	if len(c) == 1 { // nearly always
		if c[0].Class == Nothing {
			return nil, c
		}
		return []Group{{Bytes: c[0].Body.Bytes, Versions: c, Best: c[0], Least: c[0].Dot}}, nil
	}
	for i := len(c) - 1; i >= 0; i-- { // newest first
		if v := c[i]; v.Class == Strong && !join(groups, v) {
			groups = append(groups, open(v))
		}
	}
	for i := len(c) - 1; i >= 0; i-- {
		switch v := c[i]; {
		case v.Class == Nothing:
			rest = append(rest, v)
		case v.Class == Weak && !join(groups, v):
			if len(groups) > 0 {
				rest = append(rest, v)
			} else {
				groups = append(groups, open(v))
			}
		}
	}
	return groups, rest
}

func open(v *Version) Group {
	return Group{Bytes: v.Body.Bytes, Versions: []*Version{v}, Best: v, Least: v.Dot}
}

func join(gs []Group, v *Version) bool {
	for i := range gs {
		g := &gs[i]
		if g.Bytes != v.Body.Bytes {
			continue
		}
		g.Versions = append(g.Versions, v)
		if v.Class == Strong && v.Dot.Compare(g.Least) < 0 {
			g.Least = v.Dot
		}
		return true
	}
	return false
}

// Dots lists the versions of the group.
func (g *Group) Dots() []Dot {
	ds := make([]Dot, len(g.Versions))
	for i, v := range g.Versions {
		ds[i] = v.Dot
	}
	return ds
}

// SaidAgain reports whether a version of the group says again what another one still says: it was
// written beside it, in sight of it.
func (g *Group) SaidAgain(v *Version) bool {
	beside := func(u *Version) bool { return v.Past.excepts(u.Dot) }
	return v.Class == Weak && slices.ContainsFunc(g.Versions, beside)
}

// Alive reports whether a content register holds bytes: whether its node exists (N1).
func Alive(c Register) bool {
	for _, v := range c {
		if v.Class != Nothing {
			return true
		}
	}
	return false
}

// CopyID is the id of the conflict copy of n that holds the group (N3), made of its smallest strong dot
// and its bytes: where a log has forked one dot stands for two writes. It lies beside n in an ordered store.
func CopyID(n NodeID, g *Group) NodeID {
	b := append([]byte("shelf1/copy\x00"), n[:]...)
	b = g.Least.Writer.Append(b)
	b = binary.BigEndian.AppendUint64(b, g.Least.Seq)
	x := &g.Bytes
	b = append(append(b, byte(x.Kind), x.Content.Depth), x.Content.Root[:]...)
	b = binary.BigEndian.AppendUint64(b, x.Content.Size)
	b = binary.BigEndian.AppendUint32(b, x.Rdev)
	b = append(append(b, x.Link[:]...), x.Target...)
	sum := sha256.Sum256(b)
	id := n
	copy(id[8:], sum[:8])
	id[15] &^= 1
	return id
}
