package fstest

import (
	"os"
	"slices"
	"syscall"
	"time"
)

var attrTests = []test{
	{"Chmod", func(t *T) {
		t.write("/a", "x")
		for _, m := range []uint32{0o600, 0o4755, 0o1777, 0} {
			t.ok(t.Chmod("/a", m))
			if got := t.stat("/a").Mode; got != m {
				t.Fatalf("mode %o, want %o", got, m)
			}
		}
		t.mkdir("/d")
		t.ok(t.Chmod("/d", 0o2770))
		if got := t.stat("/d").Mode; got != 0o2770 {
			t.Fatalf("mode %o", got)
		}
	}},
	{"ModeAtCreation", func(t *T) {
		f, err := t.Open("/a", os.O_CREATE|os.O_WRONLY, 0o440)
		t.ok(err)
		t.pwrite(f, 0, []byte("x"))
		t.ok(f.Close())
		if got := t.stat("/a").Mode; got != 0o440 {
			t.Fatalf("mode %o", got)
		}
	}},
	{"Times", func(t *T) {
		t.write("/a", "x")
		for _, ns := range []int64{0, 1, 1234567890123456789, 999999999, -1, -1500000000} {
			t.ok(t.Utimes("/a", ns+7, ns))
			if st := t.stat("/a"); st.Mtime != ns || st.Atime != ns+7 {
				t.Fatalf("mtime %d atime %d, want %d", st.Mtime, st.Atime, ns)
			}
		}
	}},
	{"TimesOfUnsavedFile", func(t *T) { // tar and rsync set times right after writing
		f := t.open("/a", os.O_WRONLY|os.O_CREATE)
		for _, mtime := range []int64{0, 1, -1, 6e17} {
			t.pwrite(f, 0, []byte("x"))
			t.ok(t.Utimes("/a", 5e17, mtime))
			t.ok(f.Sync())
			if st := t.stat("/a"); st.Mtime != mtime || st.Atime != 5e17 {
				t.Fatalf("mtime %d: %+v after sync", mtime, st)
			}
		}
		t.pwrite(f, 0, []byte("x"))
		t.ok(t.Utimes("/a", 5e17, 6e17))
		t.ok(f.Close())
		if st := t.stat("/a"); st.Mtime != 6e17 || st.Atime != 5e17 {
			t.Fatalf("%+v", st)
		}
		t.ok(t.Rename("/a", "/b", Replace))
		g := t.open("/b", os.O_RDONLY)
		seen := t.stat("/b").Ctime
		time.Sleep(5 * time.Millisecond)
		t.ok(g.Sync())
		if st := t.stat("/b"); st.Mtime != 6e17 || st.Atime != 5e17 || st.Size != 1 || st.Ctime != seen {
			t.Fatalf("after sync: %+v", st)
		}
	}},
	{"WriteMovesTimes", func(t *T) {
		t.write("/a", "x")
		t.ok(t.Utimes("/a", 1e18, 1e18))
		before := t.stat("/a")
		f := t.open("/a", os.O_WRONLY)
		t.pwrite(f, 0, []byte("y"))
		t.ok(f.Close())
		if st := t.stat("/a"); st.Mtime == before.Mtime || st.Ctime < before.Ctime {
			t.Fatalf("%+v, before %+v", st, before)
		}
	}},
	{"TimesStayAfterSaving", func(t *T) { // git takes a file whose times move for a changed one
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.pwrite(f, 0, []byte("x"))
		before, err := f.Stat()
		t.ok(err)
		t.ok(f.Sync())
		after, err := f.Stat()
		t.ok(err)
		if before.Mtime != after.Mtime {
			t.Errorf("mtime moved by %d ns", after.Mtime-before.Mtime)
		}
	}},
	{"ChangeTimeMoves", func(t *T) {
		t.write("/a", "x")
		before := t.stat("/a").Ctime
		t.ok(t.Chmod("/a", 0o600))
		if now := t.stat("/a").Ctime; now < before {
			t.Fatalf("ctime %d, before %d", now, before)
		}
	}},
	{"ChangeTimeMovesWithLinks", func(t *T) {
		t.write("/a", "x")
		t.movesCtime("/a", "link", func() error { return t.Link("/a", "/b") })
		t.movesCtime("/a", "unlink", func() error { return t.Unlink("/b") })
		t.ok(t.Link("/a", "/b"))
		t.ok(t.Link("/a", "/c"))
		t.movesCtime("/b", "rename", func() error { t.write("/d", "y"); return t.Rename("/d", "/c", Replace) })
		t.movesCtime("/b", "unlink of the first name", func() error { return t.Unlink("/a") })
	}},
	{"ChangeTimeMovesWithXattrs", func(t *T) {
		t.write("/a", "x")
		t.mkdir("/d")
		for _, p := range []string{"/a", "/d"} {
			t.movesCtime(p, "setxattr", func() error { return t.Setxattr(p, "user.a", []byte("b"), 0) })
			t.movesCtime(p, "another value", func() error { return t.Setxattr(p, "user.a", []byte("c"), 0) })
			t.movesCtime(p, "removexattr", func() error { return t.Removexattr(p, "user.a") })
		}
	}},
	{"TruncateByPath", func(t *T) {
		t.write("/a", "hello world")
		t.ok(t.Truncate("/a", 5))
		t.holds("/a", "hello")
		t.ok(t.Truncate("/a", 8))
		t.holds("/a", "hello\x00\x00\x00")
		t.ok(t.Truncate("/a", 0))
		t.holds("/a", "")
		t.fails(t.Truncate("/none", 0), syscall.ENOENT)
		t.mkdir("/d")
		t.fails(t.Truncate("/d", 0), syscall.EISDIR)
	}},
	{"TruncateHidesOldBytes", func(t *T) {
		t.write("/a", string(random(1, 300<<10)))
		f := t.open("/a", os.O_RDWR)
		t.ok(f.Truncate(100 << 10))
		t.ok(f.Truncate(200 << 10))
		want := append(random(1, 300<<10)[:100<<10], make([]byte, 100<<10)...)
		t.same(t.pread(f, 0, 1<<20), want)
		t.ok(f.Sync())
		t.same(t.pread(f, 0, 1<<20), want)
		t.ok(f.Close())
		t.holds("/a", string(want))
	}},
	{"WriteBeyondEnd", func(t *T) {
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.pwrite(f, 0, []byte("ab"))
		t.pwrite(f, 10, []byte("z"))
		t.same(t.pread(f, 0, 99), []byte("ab\x00\x00\x00\x00\x00\x00\x00\x00z"))
	}},
	{"RootAttributes", func(t *T) {
		st := t.stat("/")
		if st.Type != Dir || st.Mode&0o700 != 0o700 {
			t.Fatalf("%+v", st)
		}
	}},
}

var xattrTests = []test{
	{"Xattr", func(t *T) {
		t.write("/a", "x")
		_, err := t.Getxattr("/a", "user.one")
		t.fails(err, errNoAttr)
		t.ok(t.Setxattr("/a", "user.one", []byte("1"), 0))
		t.ok(t.Setxattr("/a", "user.two", []byte{}, XattrCreate))
		t.fails(t.Setxattr("/a", "user.one", []byte("2"), XattrCreate), syscall.EEXIST)
		t.fails(t.Setxattr("/a", "user.three", []byte("2"), XattrReplace), errNoAttr)
		t.ok(t.Setxattr("/a", "user.one", []byte("other"), XattrReplace))
		got, err := t.Getxattr("/a", "user.one")
		t.ok(err)
		names, err := t.Listxattr("/a")
		t.ok(err)
		slices.Sort(names)
		if string(got) != "other" || !slices.Equal(names, []string{"user.one", "user.two"}) {
			t.Fatalf("%q %q", got, names)
		}
		t.ok(t.Removexattr("/a", "user.one"))
		t.fails(t.Removexattr("/a", "user.one"), errNoAttr)
		t.holds("/a", "x")
	}},
	{"XattrOfDir", func(t *T) {
		t.mkdir("/d")
		t.ok(t.Setxattr("/d", "user.tag", []byte("blue"), 0))
		got, err := t.Getxattr("/d", "user.tag")
		t.ok(err)
		if string(got) != "blue" {
			t.Fatalf("%q", got)
		}
	}},
	{"XattrOtherNamespaces", func(t *T) {
		t.write("/a", "x")
		t.fails(t.Setxattr("/a", "security.thing", []byte("x"), 0), syscall.EOPNOTSUPP, syscall.EPERM)
		t.fails(t.Setxattr("/a", "user.shelf.why", []byte("x"), 0), syscall.EPERM)
		_, err := t.Getxattr("/a", "user.shelf.why")
		t.fails(err, errNoAttr)
	}},
	{"XattrLimits", func(t *T) {
		t.write("/a", "x")
		t.ok(t.Setxattr("/a", "user.big", random(1, 32<<10), 0))
		got, err := t.Getxattr("/a", "user.big")
		t.ok(err)
		t.same(got, random(1, 32<<10))
		t.fails(t.Setxattr("/a", "user.big2", random(1, 40<<10), 0), syscall.ENOSPC, syscall.E2BIG)
	}},
	{"XattrSurvivesRename", func(t *T) {
		t.write("/a", "x")
		t.ok(t.Setxattr("/a", "user.k", []byte("v"), 0))
		t.ok(t.Rename("/a", "/b", Replace))
		got, err := t.Getxattr("/b", "user.k")
		t.ok(err)
		if string(got) != "v" {
			t.Fatalf("%q", got)
		}
	}},
}

// movesCtime demands that a change moves a file's ctime, and no other time.
func (t *T) movesCtime(path, what string, change func() error) {
	t.Helper()
	t.ok(t.Utimes(path, 5e17, 6e17))
	before := t.stat(path)
	time.Sleep(5 * time.Millisecond)
	t.ok(change())
	now := t.stat(path)
	if now.Ctime <= before.Ctime || now.Mtime != before.Mtime || now.Atime != before.Atime {
		t.Errorf("%s: %+v, before %+v", what, now, before)
	}
}
