//go:build linux || darwin || freebsd

package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/shelffs/shelf/fs"
)

// readResult passes a read's slices to the kernel without joining them (Slices is the
// library's optional interface for that).
type readResult struct {
	b    fs.Bytes
	done bool
}

var _ fuse.ReadResult = (*readResult)(nil)

// maxSlices is how many pieces go into one reply; writev takes 1024 at most.
const maxSlices = 256

// newReadResult answers with b; buf is memory for when there are too many pieces.
func newReadResult(b fs.Bytes, buf []byte) fuse.ReadResult {
	if len(b.Slices) <= maxSlices {
		return &readResult{b: b}
	}
	defer b.Done()
	return fuse.ReadResultData(join(buf, b))
}

func join(buf []byte, b fs.Bytes) []byte {
	buf = buf[:0]
	for _, s := range b.Slices {
		buf = append(buf, s...)
	}
	return buf
}

func (r *readResult) Slices() ([][]byte, fuse.Status)        { return r.b.Slices, fuse.OK }
func (r *readResult) Bytes(buf []byte) ([]byte, fuse.Status) { return join(buf, r.b), fuse.OK }
func (r *readResult) Size() int                              { return r.b.Len }

func (r *readResult) Done() {
	if !r.done {
		r.done = true
		r.b.Done()
	}
}
