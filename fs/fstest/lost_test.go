package fstest

import (
	"os"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// pair is two devices that hear of each other when the test says so.
func pair(t *testing.T) (here, there *T, d, other *device, sync func()) {
	here, d = one(t, setup{})
	there, other = one(t, setup{n: 2})
	join(d, other)
	return here, there, d, other, func() {
		t.Helper()
		for _, way := range [][2]*device{{d, other}, {other, d}} {
			here.ok(way[1].fs.Sync(bg))
			here.ok(way[0].pull(way[1]))
		}
	}
}

// What is open and was removed elsewhere goes on with its attributes, however long ago that was. Its attributes alone do not bring it back.
func TestAttributesOfWhatWasRemovedElsewhere(t *testing.T) {
	for name, remove := range map[string]func(o *T) error{
		"/f": func(o *T) error { return o.Unlink("/f") },
		"/d": func(o *T) error { return o.Rmdir("/d") },
	} {
		here, there, d, _, sync := pair(t)
		flag := os.O_RDWR
		if name == "/d" {
			here.mkdir(name)
			flag = openDirectory
		} else {
			here.write(name, "bytes")
		}
		here.ok(here.Setxattr(name, "user.old", []byte("old"), 0))
		sync()
		f := here.openAttrs(name, flag)
		here.ok(remove(there))
		sync()
		d.pass(time.Minute)
		here.hasAttributes(f, name)
		here.ok(d.fs.Sync(bg))
		sync()
		here.missing(name)
		there.missing(name)
		if name == "/f" {
			here.same(here.pread(f, 0, 99), []byte("bytes"))
		}
		here.ok(f.Close())
	}
}

// A removal elsewhere that nothing has told of yet.
func TestAttributesBeforeARemovalIsNoticed(t *testing.T) {
	here, d := one(t, setup{wrap: func(c *fs.Config) { c.Changes = nil }})
	here.write("/f", "bytes")
	here.ok(here.Setxattr("/f", "user.old", []byte("old"), 0))
	f := here.openAttrs("/f", os.O_RDWR)
	_, err := d.names.Remove(namespace.Root, "f", false)
	here.ok(err)
	here.ok(f.Setxattr("user.first", []byte("x"), 0))
	here.ok(f.Removexattr("user.first"))
	here.hasAttributes(f, "by a command")
}

// What is saved to a file that was removed elsewhere brings it back with what was set of it meanwhile.
func TestWhatWasRemovedElsewhereComesBackWhole(t *testing.T) {
	here, there, _, _, sync := pair(t)
	here.write("/f", "bytes")
	here.ok(here.Setxattr("/f", "user.old", []byte("old"), 0))
	sync()
	f := here.openAttrs("/f", os.O_RDWR)
	here.ok(there.Unlink("/f"))
	sync()
	here.hasAttributes(f, "removed elsewhere")
	here.ok(f.Removexattr("user.old"))
	here.pwrite(f, 5, []byte(" more"))
	here.ok(f.Utimes(3e17, 4e17))
	here.ok(f.Sync())
	sync()
	for _, o := range []*T{here, there} {
		o.holds("/f", "bytes more")
		if st := o.stat("/f"); st.Mode != 0o640 || st.Mtime != 4e17 || st.Atime != 3e17 || st.Nlink != 1 {
			t.Errorf("%+v", st)
		}
		if v, err := o.Getxattr("/f", "user.new"); string(v) != "new" {
			t.Errorf("%q, %v", v, err)
		}
		_, err := o.Getxattr("/f", "user.old")
		o.fails(err, errNoAttr)
	}
	here.ok(f.Chmod(0o600)) // of a file like any other
	sync()
	if st := there.stat("/f"); st.Mode != 0o600 {
		t.Errorf("%+v", st)
	}
}

// A file that was removed here and comes back because another device has changed it has what was set of it
// since it went; times only if they were set of these bytes.
func TestAttributesOfWhatComesBack(t *testing.T) {
	here, there, d, _, sync := pair(t)
	here.write("/f", "bytes")
	sync()
	f := here.openAttrs("/f", os.O_RDWR)
	there.write("/f", "changed")
	here.ok(here.Unlink("/f"))
	here.ok(f.Chmod(0o640))
	here.ok(f.Utimes(5e17, 6e17))
	here.ok(f.Setxattr("user.new", []byte("new"), 0))
	sync()
	eventually(t, "back", func() bool { st, err := f.Stat(); return err == nil && st.Nlink == 1 })
	here.ok(d.fs.Sync(bg))
	sync()
	for _, o := range []*T{here, there} {
		o.holds("/f", "changed")
		st := o.stat("/f")
		v, err := o.Getxattr("/f", "user.new")
		if st.Mode != 0o640 || st.Mtime == 6e17 || string(v) != "new" {
			t.Errorf("%+v, %q, %v", st, v, err)
		}
	}
}

// forgetful has forgotten a node, as after its removal was collected, until somebody brings it back.
type forgetful struct {
	fs.Namespace
	node namespace.NodeID
}

func (f *forgetful) forgotten(id namespace.NodeID) error {
	if id == f.node && !id.IsZero() {
		return errs.E("test", errs.Stale, "", nil)
	}
	return nil
}

func (f *forgetful) Get(id namespace.NodeID) (namespace.Entry, error) {
	if err := f.forgotten(id); err != nil {
		return namespace.Entry{}, err
	}
	return f.Namespace.Get(id)
}

func (f *forgetful) Commit(id namespace.NodeID, base []namespace.Dot, c blocks.Content, mtime int64, also ...namespace.Also) (namespace.Entry, error) {
	if err := f.forgotten(id); err != nil {
		return namespace.Entry{}, err
	}
	return f.Namespace.Commit(id, base, c, mtime, also...)
}

func (f *forgetful) CommitLost(was namespace.Entry, c blocks.Content, mtime int64, also ...namespace.Also) (namespace.Entry, error) {
	e, err := f.Namespace.Commit(was.ID, nil, c, mtime, also...)
	names, _ := f.ListXattr(was.ID)
	for _, name := range names {
		_ = f.RemoveXattr(was.ID, name)
	}
	f.node = namespace.NodeID{}
	return e, err
}

// What the others have forgotten has all its attributes when it comes back.
func TestWhatWasForgottenComesBackWhole(t *testing.T) {
	var names forgetful
	here, d := one(t, setup{wrap: func(c *fs.Config) { names.Namespace, c.Names, c.Changes = c.Names, &names, nil }})
	here.write("/f", "bytes")
	here.ok(d.fs.Sync(bg))
	here.ok(here.Setxattr("/f", "user.old", []byte("old"), 0))
	f := here.openAttrs("/f", os.O_RDWR)
	e, err := d.names.Remove(namespace.Root, "f", false)
	here.ok(err)
	names.node = e.ID
	here.ok(f.Chmod(0o640))
	here.pwrite(f, 5, []byte(" more"))
	here.ok(f.Close())
	here.ok(d.fs.Sync(bg))
	eventually(t, "out of use", func() bool { return d.fs.Stats().Inodes == 1 })
	here.holds("/f", "bytes more")
	if v, err := here.Getxattr("/f", "user.old"); string(v) != "old" || here.stat("/f").Mode != 0o640 {
		t.Errorf("%q, %v, %+v", v, err, here.stat("/f"))
	}
}
