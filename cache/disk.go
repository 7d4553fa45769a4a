package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is where segments live; tests give one that fills up or loses what was not synced.
type disk interface {
	Create(no uint32) (segFile, error)
	Open(no uint32) (segFile, error)
	Remove(no uint32) error
	List() ([]segInfo, error)
	SyncDir() error // makes Create and Remove durable
}

// segFile is one open segment.
type segFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Datasync() error
	Punch(off, n int64) error // gives a range back to the disk; errPunch: can't here
	Truncate(size int64) error
}

type segInfo struct {
	no        uint32
	size      int64 // of the file
	allocated int64 // on the disk; size where the system doesn't say
}

// errPunch says that the system can't free a part of a file.
type errPunch struct{}

func (errPunch) Error() string { return "holes are not supported" }

type osDisk struct{ dir string }

func (d osDisk) name(no uint32) string { return filepath.Join(d.dir, fmt.Sprintf("%08x.seg", no)) }

func (d osDisk) Create(no uint32) (segFile, error) {
	f, err := os.OpenFile(d.name(no), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d osDisk) Open(no uint32) (segFile, error) {
	f, err := os.OpenFile(d.name(no), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d osDisk) Remove(no uint32) error {
	if err := os.Remove(d.name(no)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d osDisk) List() ([]segInfo, error) {
	names, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	var out []segInfo
	for _, e := range names {
		var no uint32
		if n, err := fmt.Sscanf(e.Name(), "%08x.seg", &no); n != 1 || err != nil || e.Name() != filepath.Base(d.name(no)) {
			continue
		}
		st, err := e.Info()
		if err != nil {
			continue
		}
		out = append(out, segInfo{no: no, size: st.Size(), allocated: allocated(st)})
	}
	return out, nil
}

func (d osDisk) SyncDir() error { return syncDir(d.dir) }

type osFile struct{ *os.File }

func (f osFile) Datasync() error          { return datasync(f.File) }
func (f osFile) Punch(off, n int64) error { return punch(f.File, off, n) }
