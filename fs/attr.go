package fs

import (
	"time"

	"github.com/shelffs/shelf/internal/namespace"
)

// Ino names an inode towards a kernel: the first 8 bytes of SHA-256 of its node, so
// that it is the same after a restart. In the rare case that two living inodes meet
// there, the later one gets the next free number for as long as it is known.
type Ino uint64

// RootIno is the root directory.
const RootIno Ino = 1

// OwnerID as a stored uid or gid stands for "the person whose shelf it is": it is shown
// as Config.UID or Config.GID, which differ from device to device.
const OwnerID = ^uint32(0)

// BlockSize is what stat calls the preferred size of I/O, in bytes.
const BlockSize = 128 << 10

// Attr is what stat tells about an inode. Times are nanoseconds since 1970.
type Attr struct {
	Ino                 Ino
	Kind                namespace.Kind
	Mode                uint32 // permission bits with set-uid, set-gid and sticky: 07777
	Nlink               uint32
	UID, GID            uint32
	Rdev                uint32
	Size                int64
	Stored              int64 // of Size: what is no hole, as far as that is known
	Atime, Mtime, Ctime int64
	// Brief attributes are not to be kept: a name of the inode has just been removed, and a kernel that
	// hears of the smaller Nlink before it has the answer to that counts the name twice.
	Brief bool
}

// Blocks is what is stored in units of 512 bytes, as st_blocks counts.
func (a Attr) Blocks() uint64 { return uint64(a.Stored+511) / 512 }

// Caller is who asks. The zero Caller is root.
type Caller struct {
	UID, GID uint32
}

// AttrChange says what Setattr sets; nil leaves a field as it is.
type AttrChange struct {
	Mode     *uint32 // 07777
	UID, GID *uint32
	Size     *int64
	Atime    *time.Time
	Mtime    *time.Time
	AtimeNow bool // instead of Atime: the file counts as read now; kept only where that is cheap
	// ClearSetID drops set-uid and set-gid (of executables) with the change, as a write
	// or chown by somebody without privileges must.
	ClearSetID bool
}

// Usage is what statfs tells, in bytes and files.
type Usage struct {
	Total, Free, Avail uint64
	Files              uint64
}

func kindSize(e namespace.Entry) int64 {
	switch e.Kind {
	case namespace.File:
		return int64(e.Content.Size)
	case namespace.Symlink:
		return int64(len(e.Target))
	case namespace.Dir:
		return 4096
	}
	return 0
}
