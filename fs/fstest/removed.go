package fstest

import (
	"os"
	"slices"
	"time"
)

// FileAttrs are the calls on what is open, a directory too, that do not concern its bytes.
type FileAttrs interface {
	File
	Chmod(mode uint32) error
	Chown(uid, gid int) error
	Utimes(atime, mtime int64) error
	Setxattr(name string, value []byte, flag int) error
	Getxattr(name string) ([]byte, error)
	Listxattr() ([]string, error)
	Removexattr(name string) error
}

// openAttrs opens for calls that want more than the bytes.
func (t *T) openAttrs(path string, flag int) FileAttrs {
	t.Helper()
	f, ok := t.open(path, flag).(FileAttrs)
	if !ok {
		t.Fatal("what is open can be asked only by its path")
	}
	return f
}

var removedTests = []test{
	{"RemovedFileHasAttributes", func(t *T) {
		for name, remove := range map[string]func() error{
			"unlink": func() error { return t.Unlink("/a") },
			"rename": func() error { t.write("/b", "another"); return t.Rename("/b", "/a", Replace) },
		} {
			t.write("/a", "bytes")
			t.ok(t.Setxattr("/a", "user.old", []byte("old"), 0))
			f := t.openAttrs("/a", os.O_RDWR)
			t.ok(remove())
			t.livesOn(f, name)
			t.ok(f.Close())
		}
	}},
	{"RemovedDirHasAttributes", func(t *T) {
		t.mkdir("/d")
		t.ok(t.Setxattr("/d", "user.old", []byte("old"), 0))
		f := t.openAttrs("/d", os.O_RDONLY|openDirectory)
		t.ok(t.Rmdir("/d"))
		t.hasAttributes(f, "rmdir")
	}},
}

// livesOn demands of a removed file, which held "bytes", what a local filesystem does with it.
func (t *T) livesOn(f FileAttrs, how string) {
	t.Helper()
	t.hasAttributes(f, how)
	t.same(t.pread(f, 0, 99), []byte("bytes"))
	t.pwrite(f, 5, []byte(" more"))
	t.ok(f.Truncate(7))
	t.ok(f.Allocate(0, 0, 9))
	t.ok(f.Sync())
	t.same(t.pread(f, 0, 99), []byte("bytes m\x00\x00"))
	if st, err := f.Stat(); err != nil || st.Nlink != 0 || st.Size != 9 || st.Mode != 0o640 {
		t.Fatalf("%s: %+v, %v", how, st, err)
	}
}

// hasAttributes demands of what was removed, and had user.old, that its attributes can be changed.
func (t *T) hasAttributes(f FileAttrs, how string) {
	t.Helper()
	before, err := f.Stat()
	t.ok(err)
	time.Sleep(5 * time.Millisecond)
	t.ok(f.Chmod(0o640))
	t.ok(f.Chown(int(before.UID), int(before.GID)))
	t.ok(f.Utimes(5e17, 6e17))
	t.ok(f.Setxattr("user.new", []byte("new"), XattrCreate))
	t.ok(f.Setxattr("user.other", []byte("x"), 0))
	t.ok(f.Removexattr("user.other"))
	t.fails(f.Removexattr("user.other"), errNoAttr)
	st, err := f.Stat()
	t.ok(err)
	if st.Nlink != 0 || st.Mode != 0o640 || st.Atime != 5e17 || st.Mtime != 6e17 || st.Ctime <= before.Ctime {
		t.Errorf("%s: %+v, before %+v", how, st, before)
	}
	for name, want := range map[string]string{"user.old": "old", "user.new": "new"} {
		if v, err := f.Getxattr(name); string(v) != want || err != nil {
			t.Errorf("%s: %s is %q, %v", how, name, v, err)
		}
	}
	names, err := f.Listxattr()
	if slices.Sort(names); err != nil || !slices.Equal(names, []string{"user.new", "user.old"}) {
		t.Errorf("%s: %q, %v", how, names, err)
	}
}
