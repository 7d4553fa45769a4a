package fstest

import (
	"os"
	"syscall"
)

var renameTests = []test{
	{"RenameFile", func(t *T) {
		t.write("/a", "x")
		ino := t.stat("/a").Ino
		t.ok(t.Rename("/a", "/b", Replace))
		t.missing("/a")
		t.holds("/b", "x")
		if t.stat("/b").Ino != ino {
			t.Error("another inode")
		}
	}},
	{"RenameUnsavedFile", func(t *T) {
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.pwrite(f, 0, []byte("x"))
		t.ok(t.Rename("/a", "/b", Replace))
		t.pwrite(f, 1, []byte("y"))
		t.ok(f.Close())
		t.holds("/b", "xy")
	}},
	{"RenameOverFile", func(t *T) {
		t.write("/a", "new")
		t.write("/b", "old")
		ino := t.stat("/a").Ino
		f := t.open("/b", os.O_RDONLY)
		t.ok(t.Rename("/a", "/b", Replace))
		t.holds("/b", "new")
		t.missing("/a")
		t.lists("/", "b")
		if t.stat("/b").Ino != ino {
			t.Error("another inode")
		}
		t.same(t.pread(f, 0, 9), []byte("old"))
		st, err := f.Stat()
		t.ok(err)
		if st.Nlink != 0 {
			t.Errorf("replaced file: nlink %d", st.Nlink)
		}
	}},
	{"EditorSave", func(t *T) {
		t.write("/doc", "version 1")
		for i := range 20 {
			body := string(random(int64(i), 3000))
			t.write("/.doc.tmp", body)
			t.ok(t.Rename("/.doc.tmp", "/doc", Replace))
			t.holds("/doc", body)
		}
		t.lists("/", "doc")
	}},
	{"BackupByLink", func(t *T) { // vim: backup name, then write anew
		t.write("/doc", "one")
		t.ok(t.Rename("/doc", "/doc~", Replace))
		t.write("/doc", "two")
		t.ok(t.Unlink("/doc~"))
		t.holds("/doc", "two")
	}},
	{"RenameDir", func(t *T) {
		t.mkdir("/d")
		t.mkdir("/d/sub")
		t.write("/d/sub/a", "x")
		t.ok(t.Rename("/d", "/e", Replace))
		t.holds("/e/sub/a", "x")
		t.missing("/d")
	}},
	{"RenameDirOverEmpty", func(t *T) {
		t.mkdir("/d")
		t.write("/d/a", "x")
		t.mkdir("/e")
		t.ok(t.Rename("/d", "/e", Replace))
		t.holds("/e/a", "x")
		t.lists("/", "e")
	}},
	{"RenameDirOverFull", func(t *T) {
		t.mkdir("/d")
		t.mkdir("/e")
		t.write("/e/a", "x")
		t.fails(t.Rename("/d", "/e", Replace), syscall.ENOTEMPTY, syscall.EEXIST)
	}},
	{"RenameAcrossKinds", func(t *T) {
		t.mkdir("/d")
		t.write("/f", "")
		t.fails(t.Rename("/d", "/f", Replace), syscall.ENOTDIR)
		t.fails(t.Rename("/f", "/d", Replace), syscall.EISDIR)
	}},
	{"RenameIntoItself", func(t *T) {
		t.mkdir("/d")
		t.mkdir("/d/e")
		t.fails(t.Rename("/d", "/d/e/f", Replace), syscall.EINVAL)
		t.lists("/d", "e")
	}},
	{"RenameToItself", func(t *T) {
		t.write("/a", "x")
		t.ok(t.Rename("/a", "/a", Replace))
		t.holds("/a", "x")
	}},
	{"RenameToOwnHardLink", func(t *T) { // POSIX: nothing happens
		t.write("/a", "x")
		t.ok(t.Link("/a", "/b"))
		t.ok(t.Rename("/a", "/b", Replace))
		t.holds("/b", "x")
	}},
	{"RenameMissing", func(t *T) {
		t.fails(t.Rename("/a", "/b", Replace), syscall.ENOENT)
	}},
	{"RenameNoReplace", func(t *T) {
		t.write("/a", "a")
		t.write("/b", "b")
		t.fails(t.Rename("/a", "/b", NoReplace), syscall.EEXIST)
		t.holds("/b", "b")
		t.ok(t.Rename("/a", "/c", NoReplace))
		t.holds("/c", "a")
	}},
	{"RenameExchange", func(t *T) {
		t.write("/a", "a")
		t.mkdir("/d")
		t.write("/d/x", "in d")
		t.ok(t.Rename("/a", "/d", Exchange))
		t.holds("/d", "a")
		t.holds("/a/x", "in d")
		t.fails(t.Rename("/a", "/none", Exchange), syscall.ENOENT)
	}},
	{"RenameUnsavedOver", func(t *T) { // the record of the new bytes comes first
		t.write("/b", "old")
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.pwrite(f, 0, []byte("new"))
		t.ok(t.Rename("/a", "/b", Replace))
		t.holds("/b", "new")
		t.pwrite(f, 3, []byte("er"))
		t.ok(f.Close())
		t.holds("/b", "newer")
	}},
}

var linkTests = []test{
	{"SymlinkReadlink", func(t *T) {
		t.ok(t.Symlink("some/where else", "/l"))
		got, err := t.Readlink("/l")
		t.ok(err)
		if st := t.stat("/l"); got != "some/where else" || st.Type != Symlink || st.Size != int64(len(got)) {
			t.Fatalf("%q %+v", got, st)
		}
		t.fails(t.Symlink("x", "/l"), syscall.EEXIST)
		t.write("/f", "")
		_, err = t.Readlink("/f")
		t.fails(err, syscall.EINVAL)
		t.ok(t.Unlink("/l"))
		t.missing("/l")
	}},
	{"LongSymlink", func(t *T) {
		t.ok(t.Symlink(long(4000), "/l"))
		got, err := t.Readlink("/l")
		t.ok(err)
		if got != long(4000) {
			t.Fatalf("%d bytes", len(got))
		}
	}},
	{"HardLink", func(t *T) {
		t.write("/a", "x")
		t.ok(t.Link("/a", "/b"))
		a, b := t.stat("/a"), t.stat("/b")
		if a.Ino != b.Ino || a.Nlink != 2 || b.Nlink != 2 {
			t.Fatalf("%+v %+v", a, b)
		}
		t.write("/b", "through b")
		t.holds("/a", "through b")
		t.fails(t.Link("/a", "/b"), syscall.EEXIST)
		t.ok(t.Unlink("/a"))
		t.holds("/b", "through b")
		if st := t.stat("/b"); st.Nlink != 1 || st.Ino != a.Ino {
			t.Fatalf("%+v, was %d", st, a.Ino)
		}
		t.ok(t.Unlink("/b"))
		t.lists("/")
	}},
	{"HardLinkAcrossDirs", func(t *T) {
		t.mkdir("/d")
		t.mkdir("/e")
		t.write("/d/a", "x")
		t.ok(t.Link("/d/a", "/e/b"))
		t.ok(t.Link("/e/b", "/c"))
		if st := t.stat("/c"); st.Nlink != 3 {
			t.Fatalf("nlink %d", st.Nlink)
		}
		t.ok(t.Unlink("/d/a"))
		t.ok(t.Rmdir("/d"))
		t.write("/c", "y")
		t.holds("/e/b", "y")
	}},
	{"HardLinkOpen", func(t *T) {
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.pwrite(f, 0, []byte("unsaved"))
		t.ok(t.Link("/a", "/b"))
		t.ok(t.Unlink("/a"))
		t.holds("/b", "unsaved")
		t.pwrite(f, 7, []byte(" more"))
		t.ok(f.Close())
		t.holds("/b", "unsaved more")
	}},
	{"HardLinkDir", func(t *T) {
		t.mkdir("/d")
		t.fails(t.Link("/d", "/e"), syscall.EPERM)
	}},
	{"Fifo", func(t *T) {
		t.ok(t.Mkfifo("/p", 0o600))
		if st := t.stat("/p"); st.Type != Fifo || st.Mode != 0o600 {
			t.Fatalf("%+v", st)
		}
		t.ok(t.Unlink("/p"))
	}},
}
