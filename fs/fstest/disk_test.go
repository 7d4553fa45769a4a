package fstest

import (
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is a disk in memory whose power can be cut, and whose user can be killed. It has room
// enough to work on, and too little for stores to keep ballast.
type disk struct {
	*vfs.MemFS
	beforeSync func() // nil: nothing

	mu   sync.RWMutex // held by each change
	dead bool         // who used it was killed: nothing changes any more
}

func newDisk() *disk { return &disk{MemFS: vfs.NewCrashableMem()} }

// cut is the disk after the power was cut now: what was synced, and a part of what was not.
func (d *disk) cut(percent int, rnd *rand.Rand) *disk {
	return &disk{MemFS: d.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rnd})}
}

// kill ends whoever uses the disk, and hands it to somebody else: all is there that was written,
// and no more durable than it was.
func (d *disk) kill() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	return &disk{MemFS: d.MemFS}
}

// change does fn, unless the user is dead.
func (d *disk) change(fn func() error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.dead {
		return syscall.EIO
	}
	return fn()
}

func (d *disk) open(fn func() (vfs.File, error)) (vfs.File, error) {
	f := &diskFile{d: d}
	err := d.change(func() (err error) { f.File, err = fn(); return err })
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *disk) Create(name string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.MemFS.Create(name, cat) })
}

func (d *disk) OpenReadWrite(name string, cat vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.MemFS.OpenReadWrite(name, cat, opts...) })
}

func (d *disk) ReuseForWrite(from, to string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.MemFS.ReuseForWrite(from, to, cat) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.MemFS.OpenDir(name) })
}

func (d *disk) Link(from, to string) error {
	return d.change(func() error { return d.MemFS.Link(from, to) })
}

func (d *disk) Rename(from, to string) error {
	return d.change(func() error { return d.MemFS.Rename(from, to) })
}

func (d *disk) Remove(name string) error {
	return d.change(func() error { return d.MemFS.Remove(name) })
}

func (d *disk) RemoveAll(name string) error {
	return d.change(func() error { return d.MemFS.RemoveAll(name) })
}

func (d *disk) MkdirAll(name string, perm os.FileMode) error {
	return d.change(func() error { return d.MemFS.MkdirAll(name, perm) })
}

// Lock locks nothing: a lock ends with the process that is killed.
func (d *disk) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 64 << 20, TotalBytes: 1 << 40}, nil
}

type diskFile struct {
	vfs.File
	d *disk
}

func (f *diskFile) Write(p []byte) (n int, err error) {
	err = f.d.change(func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *diskFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.d.change(func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *diskFile) Sync() error {
	if fn := f.d.beforeSync; fn != nil {
		fn()
	}
	return f.d.change(f.File.Sync)
}

func (f *diskFile) SyncData() error { return f.Sync() }
