package fstest

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

var fileTests = []test{
	{"CreateWriteRead", func(t *T) {
		t.write("/a", "hello")
		t.holds("/a", "hello")
		if st := t.stat("/a"); st.Size != 5 || st.Type != Regular || st.Nlink != 1 || st.Mode != 0o644 {
			t.Fatalf("%+v", st)
		}
	}},
	{"CreateExclusive", func(t *T) {
		t.write("/a", "x")
		_, err := t.Open("/a", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		t.fails(err, syscall.EEXIST)
		f := t.open("/a", os.O_CREATE|os.O_RDWR)
		t.same(t.pread(f, 0, 9), []byte("x"))
	}},
	{"OpenMissing", func(t *T) {
		_, err := t.Open("/a", os.O_RDONLY, 0)
		t.fails(err, syscall.ENOENT)
		_, err = t.Open("/no/a", os.O_RDWR|os.O_CREATE, 0o644)
		t.fails(err, syscall.ENOENT)
		t.write("/file", "")
		_, err = t.Open("/file/a", os.O_RDWR|os.O_CREATE, 0o644)
		t.fails(err, syscall.ENOTDIR)
	}},
	{"OpenDirForWriting", func(t *T) {
		t.mkdir("/d")
		_, err := t.Open("/d", os.O_RDWR, 0)
		t.fails(err, syscall.EISDIR)
	}},
	{"NameTooLong", func(t *T) {
		t.write("/"+long(255), "x")
		t.holds("/"+long(255), "x")
		_, err := t.Open("/"+long(256), os.O_CREATE|os.O_RDWR, 0o644)
		t.fails(err, syscall.ENAMETOOLONG)
		t.fails(t.Mkdir("/"+long(256), 0o755), syscall.ENAMETOOLONG)
		_, err = t.Lstat("/" + long(256))
		t.fails(err, syscall.ENAMETOOLONG, syscall.ENOENT)
	}},
	{"TruncateOnOpen", func(t *T) {
		t.write("/a", "a long text")
		t.write("/a", "short")
		t.holds("/a", "short")
		f := t.open("/a", os.O_WRONLY|os.O_TRUNC)
		t.ok(f.Close())
		t.holds("/a", "")
	}},
	{"Append", func(t *T) {
		f := t.open("/a", os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		g := t.open("/a", os.O_WRONLY|os.O_APPEND)
		t.append(f, "one ")
		t.append(g, "two ")
		t.append(f, "three")
		t.holds("/a", "one two three")
	}},
	{"OverwriteInPlace", func(t *T) {
		want := random(1, 3<<20)
		t.write("/a", string(want))
		f := t.open("/a", os.O_RDWR)
		for i, off := range []int64{0, 65535, 1 << 20, 3<<20 - 10} {
			p := random(int64(i), 10)
			copy(want[off:], p)
			t.pwrite(f, off, p)
		}
		t.same(t.pread(f, 0, 4<<20), want)
		t.ok(f.Sync())
		t.same(t.pread(f, 0, 4<<20), want)
		t.ok(f.Close())
		t.holds("/a", string(want))
	}},
	{"ReadPastEnd", func(t *T) {
		t.write("/a", "abc")
		f := t.open("/a", os.O_RDONLY)
		t.same(t.pread(f, 2, 10), []byte("c"))
		t.same(t.pread(f, 3, 10), nil)
		t.same(t.pread(f, 1<<40, 10), nil)
	}},
	{"TwoHandlesSeeEachOther", func(t *T) {
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		g := t.open("/a", os.O_RDWR)
		t.pwrite(f, 0, []byte("from f"))
		t.same(t.pread(g, 0, 9), []byte("from f"))
		t.pwrite(g, 5, []byte("g"))
		t.same(t.pread(f, 0, 9), []byte("from g"))
	}},
	{"ReadOnlyHandleCannotWrite", func(t *T) {
		t.write("/a", "abc")
		f := t.open("/a", os.O_RDONLY)
		if _, err := f.Pwrite([]byte("x"), 0); err == nil {
			t.Fatal("written")
		}
		t.holds("/a", "abc")
	}},
	{"UnlinkWhileOpen", func(t *T) {
		t.write("/a", "before")
		f := t.open("/a", os.O_RDWR)
		t.ok(t.Unlink("/a"))
		t.missing("/a")
		t.lists("/")
		t.pwrite(f, 6, []byte(" and after"))
		t.ok(f.Sync())
		t.same(t.pread(f, 0, 99), []byte("before and after"))
		st, err := f.Stat()
		t.ok(err)
		if st.Nlink != 0 || st.Size != 16 {
			t.Fatalf("%+v", st)
		}
		t.write("/a", "another")
		t.same(t.pread(f, 0, 6), []byte("before"))
		t.ok(f.Close())
		t.holds("/a", "another")
	}},
	{"UnlinkWhileOpenBig", func(t *T) {
		want := random(3, 20<<20)
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.pwrite(f, 0, want[:10<<20])
		t.ok(t.Unlink("/a"))
		t.pwrite(f, 10<<20, want[10<<20:])
		t.same(t.pread(f, 0, len(want)+1), want)
	}},
	{"SyncEmptyAndTwice", func(t *T) {
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		t.ok(f.Sync())
		t.pwrite(f, 0, []byte("x"))
		t.ok(f.Sync())
		t.ok(f.Sync())
		t.holds("/a", "x")
	}},
	{"ManySmallFiles", func(t *T) {
		t.mkdir("/d")
		for i := range 300 {
			t.write(fmt.Sprintf("/d/f%d", i), fmt.Sprint("body ", i))
		}
		for i := range 300 {
			t.holds(fmt.Sprintf("/d/f%d", i), fmt.Sprint("body ", i))
		}
		if names, err := t.ReadDir("/d"); err != nil || len(names) != 300 {
			t.Fatalf("%d names, %v", len(names), err)
		}
	}},
	{"RewriteWholeManyTimes", func(t *T) {
		for i := range 50 {
			body := string(random(int64(i), 1000+i*100))
			t.write("/a", body)
			t.holds("/a", body)
		}
	}},
	{"ParallelWriters", func(t *T) {
		const n, size = 8, 256 << 10
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				p := random(int64(i), size)
				for off := 0; off < size; off += 8192 {
					if _, err := f.Pwrite(p[off:off+8192], int64(i*size+off)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for i := range n {
			t.same(t.pread(f, int64(i*size), size), random(int64(i), size))
		}
	}},
	{"SequentialBig", func(t *T) {
		want := random(7, 40<<20)
		f := t.open("/a", os.O_RDWR|os.O_CREATE)
		for off := 0; off < len(want); off += 1 << 20 {
			t.pwrite(f, int64(off), want[off:off+1<<20])
		}
		t.ok(f.Close())
		t.holds("/a", string(want))
	}},
	{"Statfs", func(t *T) {
		s, err := t.Statfs()
		t.ok(err)
		if s.Total == 0 || s.Avail == 0 || s.Avail > s.Total {
			t.Fatalf("%+v", s)
		}
	}},
}
