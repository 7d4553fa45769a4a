package namespace

import (
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// The identifiers of package merge, under the names by which callers know them.
type (
	NodeID = merge.NodeID
	Dot    = merge.Dot
	Claims = merge.Claims
	Kind   = merge.Kind
)

// Root is the directory that every share begins with.
var Root = merge.Root

// Kinds of nodes. The numbers are part of the record format.
const (
	File     = merge.File
	Dir      = merge.Dir
	Symlink  = merge.Symlink
	Fifo     = merge.Fifo
	Socket   = merge.Socket
	CharDev  = merge.CharDev
	BlockDev = merge.BlockDev
)

// Limits of what the namespace accepts.
const (
	MaxName   = 255      // bytes of one name
	MaxTarget = 4095     // bytes of a symlink's target
	MaxXattr  = 64 << 10 // bytes of all extended attributes of a node, names included
)

// Entry is a file or directory as a directory shows it.
type Entry struct {
	ID     NodeID // for a hard link the file it names; for merged directories the smallest
	Parent NodeID // directory that shows it
	Name   string // the name shown; empty for Root
	Kind   Kind
	Mode   uint32 // permission bits with set-uid, set-gid and sticky: & 07777
	UID    uint32
	GID    uint32
	Rdev   uint32
	Nlink  uint32 // names; always 1 for directories
	Mtime  int64  // nanoseconds since 1970
	Ctime  int64
	Atime  int64

	Content  blocks.Content // of a File
	Target   string         // of a Symlink
	Versions []Dot          // the content versions shown: what a writer passes to Commit as base
	Writer   ident.DeviceID // who wrote the newest version shown; zero for Root
	Stamp    merge.Stamp    // of that version
	Conflict *Conflict      // not nil: a conflict copy
}

// Size is the length in bytes that stat reports.
func (e *Entry) Size() uint64 {
	if e.Kind == Symlink {
		return uint64(len(e.Target))
	}
	return e.Content.Size
}

// Conflict says where a conflict copy comes from.
type Conflict struct {
	Of     NodeID         // the file that it is a copy of; zero: another file of the same name keeps the name
	Device ident.DeviceID // who wrote it
	When   time.Time
}

// DirEntry is one entry of a listing. Cookie is never 0 and names its place in the directory:
// List with it goes on after the entry, whatever changed in the meantime.
type DirEntry struct {
	Entry
	Cookie uint64
}

// Totals are sums over everything that lives in the share.
type Totals struct {
	Files uint64 // everything but directories
	Dirs  uint64 // without the root
	Bytes uint64 // plaintext, without conflict copies
}

// Spec says what Create makes.
type Spec struct {
	ID      NodeID // zero: drawn; else a random one, never used before, whose last bit says whether it is a directory
	Kind    Kind
	Mode    uint32 // & 07777
	UID     uint32
	GID     uint32
	Rdev    uint32         // CharDev, BlockDev
	Target  string         // Symlink
	Content blocks.Content // File; its blocks must be durable
	Mtime   *int64         // nanoseconds; nil: now
}

// AttrChange names the attributes to change; nil leaves one as it is. Times are nanoseconds.
type AttrChange struct {
	Mode  *uint32
	UID   *uint32
	GID   *uint32
	Atime *int64
	Mtime *int64
}

// XattrFlag restricts SetXattr as setxattr(2) does.
type XattrFlag uint8

const (
	XattrAny     XattrFlag = iota
	XattrCreate            // Exist where the attribute is there
	XattrReplace           // NoAttr where it is not
)

// RenameFlag changes what Rename does when the target exists.
type RenameFlag uint8

const (
	RenameReplace   RenameFlag = iota // the target is replaced
	RenameNoReplace                   // Exist
	RenameExchange                    // source and target change places; NotExist without a target
)

// Placement says whether a device keeps a file's bytes. The numbers are part of the record
// format.
type Placement uint8

const (
	Inherited Placement = 0 // what the directory above says; at the root: Automatic
	Pinned    Placement = 1 // always here
	Cloud     Placement = 2 // not here
	Automatic Placement = 3 // kept while it is used
)
