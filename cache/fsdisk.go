package cache

import (
	"errors"
	"io"
	"io/fs"

	"github.com/shelffs/shelf/internal/kv"
)

// fsDisk keeps segments on a disk of the kind that lies below the index.
type fsDisk struct {
	fs  kv.FS
	dir string
}

func (d fsDisk) name(no uint32) string { return d.fs.PathJoin(d.dir, segName(no)) }

func (d fsDisk) Mkdir() error { return kv.Mkdir(d.fs, d.dir) }

// Create makes the file of a number that was never used.
func (d fsDisk) Create(no uint32) (segFile, error) {
	f, err := d.fs.OpenReadWrite(d.name(no), "segments")
	if err != nil {
		return nil, err
	}
	return fsFile{f}, nil
}

func (d fsDisk) Open(no uint32) (segFile, error) {
	if _, err := d.fs.Stat(d.name(no)); err != nil { // the next call would make it
		return nil, err
	}
	return d.Create(no)
}

func (d fsDisk) Remove(no uint32) error {
	if err := d.fs.Remove(d.name(no)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d fsDisk) List() (out []segInfo, err error) {
	names, err := d.fs.List(d.dir)
	for _, n := range names {
		no, ok := segNo(n)
		if !ok {
			continue
		}
		if st, err := d.fs.Stat(d.name(no)); err == nil {
			out = append(out, segInfo{no: no, size: st.Size(), allocated: st.Size()})
		}
	}
	return out, err
}

func (d fsDisk) SyncDir() error {
	f, err := d.fs.OpenDir(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type fsFile struct{ vfsFile }

// vfsFile is what a segment needs of a file of kv.FS.
type vfsFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	SyncData() error
}

func (f fsFile) Datasync() error                                { return f.SyncData() }
func (f fsFile) WriteBoth(a, b []byte, off int64, _ bool) error { return writeEach(f, a, b, off) }
func (f fsFile) Punch(off, n int64) error                       { return errPunch{} }
func (f fsFile) NextData(off int64) int64                       { return off }
func (f fsFile) Soon(off, n int64)                              {}
