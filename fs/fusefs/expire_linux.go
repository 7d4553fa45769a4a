package fusefs

import (
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
)

// notifyInvalEntry is FUSE_NOTIFY_INVAL_ENTRY (linux/fuse.h).
const notifyInvalEntry = 3

// expire has the kernel ask what a name means when it is next used. EntryNotify has it drop what the name
// meant, with all that it remembers below: of a folder with a hundred thousand entries that takes a quarter of
// a second, for which nobody else gets into the parent, and whatever is mounted there is unmounted. A kernel before
// 6.2 does not know the flag and does that.
func (d *device) expire(dir fs.Ino, name string) fuse.Status {
	const head, body = 16, 16                // fuse_out_header, fuse_notify_inval_entry_out
	b := make([]byte, head+body+len(name)+1) // the name ends with a zero
	le := binary.NativeEndian
	le.PutUint32(b[0:], uint32(len(b)))
	le.PutUint32(b[4:], notifyInvalEntry) // where an answer has its errno
	le.PutUint64(b[head:], uint64(dir))
	le.PutUint32(b[head+8:], uint32(len(name)))
	le.PutUint32(b[head+12:], fuse.EXPIRE_ONLY)
	copy(b[head+body:], name)
	if _, err := d.f.Write(b); err != nil {
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			errno = syscall.EBADF // closed
		}
		return fuse.Status(errno)
	}
	return fuse.OK
}
