// Package fstest is the conformance suite of Shelf's filesystem: one set of tests that
// runs over the core (package fs, by direct calls) and over real mounts of every adapter.
//
// Run puts the tests to a Sys, the few file calls that they need. OS makes a Sys of a
// mounted directory, Core of an fs.FS.
package fstest

// Sys is a tree of files. Paths begin with a slash and mean the tree's root. All errors
// are syscall.Errno, perhaps wrapped.
type Sys interface {
	Open(path string, flag int, mode uint32) (File, error) // flag: os.O_…
	Mkdir(path string, mode uint32) error
	Mkfifo(path string, mode uint32) error
	Symlink(target, path string) error
	Readlink(path string) (string, error)
	Link(old, new string) error
	Unlink(path string) error
	Rmdir(path string) error
	Rename(old, new string, flag RenameFlag) error
	Lstat(path string) (Stat, error)
	Chmod(path string, mode uint32) error
	Chown(path string, uid, gid int) error // -1: as it is
	Utimes(path string, atime, mtime int64) error
	Truncate(path string, size int64) error
	ReadDir(path string) ([]string, error) // without "." and "..", in the order of the listing
	Setxattr(path, name string, value []byte, flag int) error
	Getxattr(path, name string) ([]byte, error)
	Listxattr(path string) ([]string, error)
	Removexattr(path, name string) error
	SyncDir(path string) error // fsync(2) of a directory
	Statfs() (Space, error)
}

// File is an open file.
type File interface {
	Pread(p []byte, off int64) (int, error)
	Pwrite(p []byte, off int64) (int, error)
	Append(p []byte) (int, error) // on a file opened with os.O_APPEND
	Stat() (Stat, error)
	Truncate(size int64) error
	Allocate(mode uint32, off, n int64) error
	Find(off int64, hole bool) (int64, error)             // SEEK_DATA, SEEK_HOLE
	CopyFrom(src File, off, from, n int64) (int64, error) // copy_file_range(2), to off
	Sync() error
	Close() error
}

// RenameFlag is as in renameat2(2).
type RenameFlag int

const (
	Replace   RenameFlag = 0
	NoReplace RenameFlag = 1
	Exchange  RenameFlag = 2
)

// Stat is what the tests look at. Times are nanoseconds.
type Stat struct {
	Ino                 uint64
	Mode                uint32 // permission bits: 07777
	Type                Type
	Nlink               uint32
	UID, GID            uint32
	Size                int64
	Blocks              int64 // of 512 bytes
	Atime, Mtime, Ctime int64
}

// Type is a file's type.
type Type byte

const (
	Regular Type = 'f'
	Dir     Type = 'd'
	Symlink Type = 'l'
	Fifo    Type = 'p'
	Special Type = 's'
)

// Space is what statfs tells, in bytes.
type Space struct{ Total, Avail uint64 }

// Flags of Setxattr, modes of Allocate.
const (
	XattrCreate  = 1
	XattrReplace = 2

	KeepSize  = 1
	PunchHole = 2
	ZeroRange = 16
)
