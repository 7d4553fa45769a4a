package davfs

import (
	"context"
	"io"
	"os"
	"path"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/paths"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// upload is a file that is being sent. It has no name until all of it is here: then it takes
// the name, or its bytes replace those of the file that has it, which stays the same file with
// its history and its pins.
type upload struct {
	t    *tree
	ctx  context.Context
	name string
	ino  fs.Ino
	h    *fs.Handle
	at   int64
}

func (t *tree) upload(ctx context.Context, name string) (*upload, error) {
	u := &upload{t: t, ctx: ctx, name: paths.Clean(name)}
	err := t.in(ctx, name, func(dir fs.Ino, base string) error {
		if err := t.find(ctx, name, func(_ fs.Ino, a fs.Attr) error {
			if a.Kind == namespace.Dir {
				return errs.E("davfs.Upload", errs.IsDir, "", nil)
			}
			return nil
		}); err != nil && !errs.Is(err, errs.NotExist) {
			return err
		}
		x, h, err := t.fs.Tmpfile(ctx, t.who, dir, fileMode, fs.OpenFlags{Read: true, Write: true})
		u.ino, u.h = x.Ino, h
		return err
	})
	return u, err
}

// Write takes the next bytes.
func (u *upload) Write(p []byte) (int, error) {
	n, err := u.h.WriteAt(u.ctx, u.at, p, fs.WriteFlags{})
	u.at += int64(n)
	return n, told(u.ctx, "write", u.name, err)
}

// Close gives the file its name if all went well; then it is durable.
func (u *upload) Close() error {
	defer u.t.fs.Forget(u.ino, 1)
	defer u.h.Close()
	if err := requestOf(u.ctx).failed(); err != nil {
		return told(u.ctx, "close", u.name, err)
	}
	err := u.replace()
	if errs.Is(err, errs.NotExist) {
		err = u.create()
	}
	return told(u.ctx, "close", u.name, err)
}

// create gives the file the name that nobody has.
func (u *upload) create() error {
	return u.t.in(u.ctx, u.name, func(dir fs.Ino, base string) error {
		x, err := u.t.fs.Link(u.ctx, u.ino, dir, base)
		if err != nil {
			return err
		}
		u.t.fs.Forget(x.Ino, 1)
		return u.h.Sync(u.ctx)
	})
}

// replace writes the bytes into the file that has the name. NotExist: there is none.
func (u *upload) replace() error {
	return u.t.find(u.ctx, u.name, func(i fs.Ino, _ fs.Attr) error {
		h, err := u.t.fs.Open(u.ctx, i, fs.OpenFlags{Write: true, Truncate: true})
		if err != nil {
			return err
		}
		defer h.Close()
		if _, err := copyAll(u.ctx, h, 0, u.h, 0); err != nil {
			return err
		}
		return h.Sync(u.ctx)
	})
}

// Stat tells what has arrived.
func (u *upload) Stat() (os.FileInfo, error) {
	return info{path.Base(u.name), fs.Attr{Kind: namespace.File, Size: u.at, Mtime: time.Now().UnixNano()}}, nil
}

// What is being sent is not read, nor is it a directory.

func (u *upload) Read([]byte) (int, error)           { return 0, io.EOF }
func (u *upload) Seek(int64, int) (int64, error)     { return 0, os.ErrInvalid }
func (u *upload) Readdir(int) ([]os.FileInfo, error) { return nil, os.ErrInvalid }
