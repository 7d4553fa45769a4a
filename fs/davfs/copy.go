package davfs

import (
	"context"
	"io"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

// ReadFrom takes the next bytes from a file of this tree (COPY) by its blocks, from all else (PUT) by reading.
func (u *upload) ReadFrom(r io.Reader) (int64, error) {
	f, ok := r.(*file)
	if !ok || f.h == nil {
		return io.Copy(struct{ io.Writer }{u}, r)
	}
	n, err := copyAll(u.ctx, u.h, u.at, f.h, f.at)
	u.at, f.at = u.at+n, f.at+n
	return n, told(u.ctx, "copy", f.name, err)
}

// copyAll copies what src has from an offset on to dst, and returns how many bytes.
func copyAll(ctx context.Context, dst *fs.Handle, off int64, src *fs.Handle, from int64) (done int64, err error) {
	for {
		n, err := dst.CopyRange(ctx, off+done, src, from+done, 1<<30, fs.WriteFlags{})
		if errs.Is(err, errs.Unsupported) {
			n, err = copyBytes(ctx, dst, off+done, src, from+done)
		}
		if done += n; err != nil || n == 0 {
			return done, err
		}
	}
}

// copyBytes copies some bytes that are to be brought here first.
func copyBytes(ctx context.Context, dst *fs.Handle, off int64, src *fs.Handle, from int64) (int64, error) {
	buf := make([]byte, 1<<20)
	n, err := src.Read(ctx, from, buf)
	if n > 0 {
		n, err = dst.WriteAt(ctx, off, buf[:n], fs.WriteFlags{})
	}
	return int64(n), err
}
