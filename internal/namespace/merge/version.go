package merge

import (
	"github.com/shelffs/shelf/blocks"
)

// Class is what can be seen of a version without keys. The numbers are part of the record
// format.
type Class uint8

const (
	Placed  Class = 0 // placement of a node
	Strong  Class = 1 // bytes that a user wrote
	Weak    Class = 2 // bytes said again, by a rename or a written-out copy
	Set     Class = 3 // an attribute
	Nothing Class = 4 // removal
)

// Order is the turn of a class in a session (S3): placements, contents and attributes, removals.
// Removals are last, so that what moved arrives before its old place is emptied; within each, a
// writer's records come by number.
func (c Class) Order() int {
	switch c {
	case Placed:
		return 0
	case Nothing:
		return 2
	}
	return 1
}

// Version is one write of a register (S1). It is never changed once it is in a register.
type Version struct {
	Dot   Dot
	Past  Past // includes Dot
	T     Stamp
	Class Class
	Place *Place // Placed
	Body  *Body  // Strong, Weak
	Value string // Set
}

// Place is the value of a placement register.
type Place struct {
	Parent NodeID
	Prev   NodeID // directories: the parent before, zero if none
	Name   string
	Auto   bool // written by a rule, not by a user: loses to a real move

	// Gone: the file has no name of its own any more, only those of its hard links (N18). Where it
	// would lie if none of them lived is said all the same. Took is the stamp of the placement that
	// was taken away, 0 of an automatic one.
	Gone bool
	Took Stamp
}

// Bytes identify what a user would call the contents: two versions with equal Bytes never
// conflict. All directories hold the same.
type Bytes struct {
	Kind    Kind
	Content blocks.Content // File
	Target  string         // Symlink
	Rdev    uint32         // CharDev, BlockDev
	Link    NodeID         // Link: the file named
}

// Body is the value of a content register that holds bytes. Mode and owner are those in
// effect when it was written; attribute registers, where there are any, overrule them.
type Body struct {
	Bytes Bytes
	Mtime int64
	Mode  uint32
	UID   uint32
	GID   uint32
}

// Compare is the order in which a register keeps its versions: stamp, then dot.
func (v *Version) Compare(u *Version) int {
	switch {
	case v.T < u.T:
		return -1
	case v.T > u.T:
		return 1
	}
	return v.Dot.Compare(u.Dot)
}
