package kv

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/errs"
)

// guardFS is Pebble's disk, watched by the guard. Two sorts of files:
//
// Tables may fail: Pebble keeps what they were to hold in its log and tries again. Everything
// else (log, manifest, markers, directories) is critical: an error there makes Pebble panic
// or end the process, so none is ever shown to it. The guard keeps it and refuses the rest.
type guardFS struct {
	vfs.FS
	g *guard
}

// isTable reports whether errors of this file may be shown to Pebble.
func isTable(name string) bool {
	switch filepath.Ext(name) {
	case ".sst", ".blob":
		return true
	}
	return false
}

// try runs a change of the filesystem. On a full disk a critical one is run again without
// the ballast, of which tables get nothing: Pebble can do without new ones for a while.
func (g *guard) try(table bool, op func() error) error {
	if err := g.failure(); err != nil {
		return err
	}
	if table {
		if g.full.Load() && g.avail() < g.o.Ballast {
			return errNoSpace
		}
		err := op()
		if errs.OS(err) == errs.NoSpace {
			g.nowFull()
		}
		return err
	}
	err := op()
	if errs.OS(err) == errs.NoSpace {
		g.dropBallast()
		err = op()
	}
	return err
}

// settle decides what Pebble hears of err: for tables the truth, after a pause; otherwise
// nothing, and the store has failed.
func (g *guard) settle(table bool, err error) error {
	switch {
	case err == nil:
		return nil
	case table:
		if errs.OS(err) != errs.NoSpace && g.tableFails.Add(1) >= maxTableFails {
			g.failed(err)
		}
		g.pause()
		return err
	}
	g.failed(err)
	return nil
}

// create makes a file by op.
func (fs guardFS) create(name string, cat vfs.DiskWriteCategory, op func() (vfs.File, error)) (vfs.File, error) {
	f := &guardFile{g: fs.g, table: isTable(name)}
	err := fs.g.try(f.table, func() (err error) { f.File, err = op(); return err })
	if err == nil {
		return f, nil
	}
	if err := fs.g.settle(f.table, err); err != nil {
		return nil, err
	}
	f.File, err = vfs.NewMem().Create("nowhere", cat) // the store has failed: nothing is written to it
	return f, err
}

func (fs guardFS) Create(name string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.create(name, cat, func() (vfs.File, error) {
		if err := fs.beforeMarker(name); err != nil {
			return nil, err
		}
		return fs.FS.Create(name, cat)
	})
}

// beforeMarker makes the names in the directory durable before a marker comes or goes. A marker's
// name says which manifest counts. Pebble takes for granted that a disk keeps names in the order
// in which they were made, which only those with a journal do: elsewhere a power cut could leave
// the marker without its manifest, or neither the old marker nor the new one.
func (fs guardFS) beforeMarker(name string) error {
	if !strings.HasPrefix(fs.FS.PathBase(name), "marker.") {
		return nil
	}
	d, err := fs.FS.OpenDir(fs.FS.PathDir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (fs guardFS) OpenReadWrite(name string, cat vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.create(name, cat, func() (vfs.File, error) { return fs.FS.OpenReadWrite(name, cat, opts...) })
}

func (fs guardFS) ReuseForWrite(oldname, newname string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.create(newname, cat, func() (vfs.File, error) { return fs.FS.ReuseForWrite(oldname, newname, cat) })
}

func (fs guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &guardFile{File: f, g: fs.g}, nil
}

func (fs guardFS) Rename(oldname, newname string) error {
	return fs.g.settle(isTable(newname), fs.g.try(isTable(newname), func() error { return fs.FS.Rename(oldname, newname) }))
}

// Remove does nothing after a failure: what Pebble thinks obsolete may be all there is. Its
// other errors are Pebble's to see, which only reports them.
func (fs guardFS) Remove(name string) error {
	if fs.g.failure() != nil {
		return nil
	}
	if err := fs.beforeMarker(name); err != nil {
		return err
	}
	return fs.FS.Remove(name)
}

func (fs guardFS) RemoveAll(name string) error {
	if fs.g.failure() != nil {
		return nil
	}
	return fs.FS.RemoveAll(name)
}

// List hides the ballast, which Pebble does not know.
func (fs guardFS) List(dir string) ([]string, error) {
	names, err := fs.FS.List(dir)
	kept := names[:0]
	for _, n := range names {
		if !strings.HasPrefix(n, "ballast") {
			kept = append(kept, n)
		}
	}
	return kept, err
}

func (fs guardFS) Unwrap() vfs.FS { return fs.FS }

// guardFile is one open file of guardFS.
type guardFile struct {
	vfs.File
	g     *guard
	table bool
	bad   error // of a table: the first failure, which is the answer to all that follows
}

// settle is the guard's, once for each table: Pebble goes on writing to one that failed.
func (f *guardFile) settle(err error) error {
	if err = f.g.settle(f.table, err); f.table {
		f.bad = err
	}
	return err
}

func (f *guardFile) Write(p []byte) (int, error) {
	if f.bad != nil {
		return 0, f.bad
	}
	done := 0
	err := f.g.try(f.table, func() error {
		n, err := f.File.Write(p[done:])
		done += n
		return err
	})
	if err := f.settle(err); err != nil {
		return done, err
	}
	return len(p), nil
}

func (f *guardFile) WriteAt(p []byte, off int64) (int, error) {
	if f.bad != nil {
		return 0, f.bad
	}
	err := f.g.try(f.table, func() error { _, err := f.File.WriteAt(p, off); return err })
	if err := f.settle(err); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Preallocate is a hint: that there is no room shows when the bytes are written.
func (f *guardFile) Preallocate(off, n int64) error {
	if f.g.failure() == nil {
		_ = f.File.Preallocate(off, n)
	}
	return nil
}

// A failed sync is never repeated: the system may have dropped the pages, and say yes to the
// second try.
func (f *guardFile) sync(op func() error) error {
	if f.bad != nil {
		return f.bad
	}
	err := f.g.failure()
	if err == nil {
		err = op()
	}
	return f.settle(err)
}

func (f *guardFile) Sync() error     { return f.finish(f.sync(f.File.Sync)) }
func (f *guardFile) SyncData() error { return f.finish(f.sync(f.File.SyncData)) }

// finish takes note of a table that got to its end.
func (f *guardFile) finish(err error) error {
	if err == nil && f.table {
		f.g.tableFails.Store(0)
	}
	return err
}

func (f *guardFile) SyncTo(n int64) (full bool, err error) {
	err = f.sync(func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, err
}

func (f *guardFile) Close() error {
	err := f.File.Close()
	if f.table || err == nil || f.g.failure() != nil {
		return err
	}
	return f.g.settle(false, err)
}
