package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ownFile is a file that one thread alone uses, and what must be in it.
type ownFile struct {
	dir   int
	name  string
	bytes []byte // nil: it is not there
}

// put writes b at off in the model.
func (f *ownFile) put(off int, b []byte) {
	if need := off + len(b) - len(f.bytes); need > 0 {
		f.bytes = append(f.bytes, make([]byte, need)...)
	}
	copy(f.bytes[off:], b)
}

// useOwn does one thing to a file, and to its model.
func (th *thread) useOwn(f *ownFile) error {
	path := th.at(f.dir, f.name)
	if f.bytes == nil {
		f.bytes = random(th.r.Int64(), th.r.IntN(20000))
		return os.WriteFile(path, f.bytes, 0o644)
	}
	off, b := int(someOffset(th.r)), random(th.r.Int64(), int(someLength(th.r)))
	switch th.r.IntN(12) {
	case 0, 1:
		return th.edit(f, 0, func(file *os.File) error {
			f.put(off, nil)
			f.put(off, b)
			_, err := file.WriteAt(b, int64(off))
			return errors.Join(err, file.Truncate(int64(len(f.bytes))))
		})
	case 2:
		return th.edit(f, os.O_APPEND, func(file *os.File) error {
			f.put(len(f.bytes), b)
			_, err := file.Write(b)
			return err
		})
	case 3:
		if off < len(f.bytes) {
			f.bytes = f.bytes[:off]
		} else {
			f.put(off, nil)
		}
		return os.Truncate(path, int64(off))
	case 4:
		return th.edit(f, 0, func(file *os.File) error {
			clear(f.bytes[min(off, len(f.bytes)):min(off+len(b)+1, len(f.bytes))])
			return again(func() error {
				return unix.Fallocate(int(file.Fd()), PunchHole|KeepSize, int64(off), int64(len(b)+1))
			})
		})
	case 5:
		return th.edit(f, 0, (*os.File).Sync)
	case 6:
		return th.storeOwn(f, off, b)
	case 7:
		f.bytes = nil
		return os.Remove(path)
	case 8, 9:
		return th.moveOwn(f, path)
	}
	return th.verify(f)
}

func (th *thread) edit(f *ownFile, flag int, do func(*os.File) error) error {
	file, err := os.OpenFile(th.at(f.dir, f.name), os.O_RDWR|flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(do(file), file.Close())
}

// storeOwn changes bytes through a map that outlives its descriptor.
func (th *thread) storeOwn(f *ownFile, off int, b []byte) error {
	if off >= len(f.bytes) {
		return nil
	}
	var m []byte
	err := th.edit(f, 0, func(file *os.File) (err error) {
		m, err = unix.Mmap(int(file.Fd()), 0, len(f.bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return err
	}
	copy(m[off:], b)
	copy(f.bytes[off:], b)
	return unix.Munmap(m)
}

// moveOwn renames, or gives another name and takes the first.
func (th *thread) moveOwn(f *ownFile, path string) error {
	dir, name := th.r.IntN(threadDirs), fmt.Sprintf("own%d-%d", th.id, 10+th.r.IntN(1000))
	for _, other := range th.own {
		if other.name == name {
			return nil
		}
	}
	to := th.at(dir, name)
	f.dir, f.name = dir, name
	if th.r.IntN(2) == 0 {
		return os.Rename(path, to)
	}
	return errors.Join(os.Link(path, to), os.Remove(path))
}

// verify compares a file with its model.
func (th *thread) verify(f *ownFile) error {
	path := th.at(f.dir, f.name)
	got, err := os.ReadFile(path)
	if f.bytes == nil {
		if os.IsNotExist(err) {
			err = nil
		}
		return err
	}
	fi, serr := os.Stat(path)
	if err != nil || serr != nil {
		return errors.Join(err, serr)
	}
	if fi.Size() != int64(len(f.bytes)) || !bytes.Equal(got, f.bytes) {
		at := 0
		for at < min(len(got), len(f.bytes)) && got[at] == f.bytes[at] {
			at++
		}
		return fmt.Errorf("%s: %d bytes, stat says %d, and it should have %d; they differ at %d", f.name, len(got), fi.Size(), len(f.bytes), at)
	}
	return nil
}

func ignoreEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
