package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
)

// disk is where segments live; tests give one that fills up or loses what was not synced.
type disk interface {
	Mkdir() error // makes the folder, and its name durable
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
	// WriteBoth writes two pieces, one behind the other, at once where the system can. once: they are hardly read again
	// soon, and the system need not keep them in memory when they are on the disk.
	WriteBoth(a, b []byte, off int64, once bool) error
	Punch(off, n int64) error // gives a range back to the disk; errPunch: can't here
	// NextData is where what is no hole begins at or after off, as far as the system knows: off where it
	// does not, beyond the end where only holes follow.
	NextData(off int64) int64
	Soon(off, n int64) // a range is about to be read: the system may begin
}

type segInfo struct {
	no        uint32
	size      int64 // of the file
	allocated int64 // on the disk; size where the system doesn't say
}

// errPunch says that the system can't free a part of a file.
type errPunch struct{}

func (errPunch) Error() string { return "holes are not supported" }

// segName is the name of a segment's file, and segNo its number; ok is false for other names.
func segName(no uint32) string { return fmt.Sprintf("%08x.seg", no) }

func segNo(name string) (no uint32, ok bool) {
	n, err := fmt.Sscanf(name, "%08x.seg", &no)
	return no, n == 1 && err == nil && name == segName(no)
}

type osDisk struct {
	dir  string
	keep *atomic.Bool // the system cannot write without keeping
}

func newOSDisk(dir string) osDisk { return osDisk{dir, new(atomic.Bool)} }

func (d osDisk) name(no uint32) string { return filepath.Join(d.dir, segName(no)) }

func (d osDisk) Mkdir() error {
	if _, err := os.Stat(d.dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	home := filepath.Dir(d.dir)
	return errors.Join(syncDir(home), syncDir(filepath.Dir(home)))
}

func (d osDisk) Create(no uint32) (segFile, error) {
	f, err := os.OpenFile(d.name(no), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f, d.keep}, nil
}

func (d osDisk) Open(no uint32) (segFile, error) {
	f, err := os.OpenFile(d.name(no), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f, d.keep}, nil
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
		no, ok := segNo(e.Name())
		if !ok {
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

type osFile struct {
	*os.File
	keep *atomic.Bool
}

// WriteBoth implements segFile. What the system has no way for is written as ever, then and from then on.
func (f osFile) WriteBoth(a, b []byte, off int64, once bool) error {
	once = once && !f.keep.Load()
	err := writeBoth(f.File, a, b, off, once)
	if once && errors.Is(err, errors.ErrUnsupported) {
		f.keep.Store(true)
		err = writeBoth(f.File, a, b, off, false)
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return writeEach(f, a, b, off)
}

func writeEach(f io.WriterAt, a, b []byte, off int64) error {
	if _, err := f.WriteAt(a, off); err != nil {
		return err
	}
	_, err := f.WriteAt(b, off+int64(len(a)))
	return err
}

func (f osFile) Datasync() error          { return datasync(f.File) }
func (f osFile) Punch(off, n int64) error { return punch(f.File, off, n) }
func (f osFile) NextData(off int64) int64 { return nextData(f.File, off) }
func (f osFile) Soon(off, n int64)        { soon(f.File, off, n) }
