package fstest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// A copy costs no block of data, and they stay when the original goes.
func TestCopiesTakeOverBlocks(t *testing.T) {
	r := &recorder{}
	tt, d := one(t, setup{wrap: record(r)})
	want := random(1, 20<<20)
	tt.write("/a", string(want))
	tt.ok(d.fs.Sync(bg))
	eventually(t, "settled", func() bool { return writing(t, d) == 0 })
	r.take()
	copyOf := func(name string, n int64) {
		t.Helper()
		a, b := tt.open("/a", os.O_RDONLY), tt.open(name, os.O_WRONLY|os.O_CREATE)
		tt.copy(b, 0, a, 0, n)
		tt.ok(a.Close())
		tt.ok(b.Sync())
		tt.ok(b.Close())
	}
	copyOf("/b", 20<<20)
	if r.staged > 2 { // a last one that is small, and the manifest: both are there
		t.Errorf("a copy of all stages %d blocks", r.staged)
	}
	a, err := d.names.Resolve("a")
	tt.ok(err)
	if b, err := d.names.Resolve("b"); err != nil || b.Content != a.Content {
		t.Errorf("%v: the copy is %+v, not %+v", err, b.Content, a.Content)
	}
	r.take()
	copyOf("/part", 19<<20+5)
	if r.staged > 2 {
		t.Errorf("a copy of a part stages %d blocks, want its last one and a manifest", r.staged)
	}
	eventually(t, "settled", func() bool { return writing(t, d) == 0 })
	tt.ok(tt.Unlink("/a"))
	tt.ok(tt.Unlink("/b"))
	tt.ok(d.fs.Sync(bg))
	tt.ok(d.store.Drop(bg, all(t, d, a.Content)...))
	tt.ok(d.kept(namespace.Root))
	tt.holds("/part", string(want[:19<<20+5]))
}

// all lists the blocks of a content.
func all(t *testing.T, d *device, c blocks.Content) (ds []blocks.Digest) {
	t.Helper()
	for digest, err := range content.Digests(bg, d.blocks, d.sealer, c) {
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, digest)
	}
	return ds
}

// COPY takes over blocks. What is put in the place of the copy is nothing to the original.
func TestDAVCopiesTakeOverBlocks(t *testing.T) {
	r := &recorder{}
	d, dav := davServer(t, setup{n: 1, wrap: record(r)})
	want := random(1, 12<<20)
	tt := &T{T: t, Sys: dav}
	tt.write("/a", string(want))
	r.take()
	_, err := dav.do("COPY", "/a", nil, map[string]string{"Destination": dav.base + "/b"})
	tt.ok(err)
	tt.ok(d.fs.Sync(bg))
	if r.staged > 2 {
		t.Errorf("COPY stages %d blocks", r.staged)
	}
	tt.holds("/b", string(want))
	tt.write("/b", string(random(2, 12<<20)))
	tt.holds("/b", string(random(2, 12<<20)))
	tt.holds("/a", string(want))
}

// The original goes before the copy is saved, and its blocks with it but for those that the copy took over.
func TestCopyOutlivesTheOriginal(t *testing.T) {
	r := &recorder{}
	tt, d := one(t, setup{wrap: record(r)})
	want := random(1, 5<<20)
	tt.write("/a", string(want))
	tt.ok(d.fs.Sync(bg))
	e, err := d.names.Resolve("a")
	tt.ok(err)
	f := tt.open("/b", os.O_RDWR|os.O_CREATE)
	tt.pwrite(f, 0, random(2, 400<<10)) // more than is promised without being saved
	r.slow["Settle"] = 200 * time.Millisecond
	tt.ok(f.Sync()) // b is being settled
	a := tt.open("/a", os.O_RDONLY)
	tt.copy(f, 0, a, 1000, 4<<20)
	tt.ok(a.Close())
	tt.ok(tt.Unlink("/a"))
	ds := all(t, d, e.Content)
	tt.ok(d.store.Disown(cache.Owner{Kind: cache.Written, Node: e.ID}, ds...))
	tt.ok(d.store.Drop(bg, ds...))
	tt.same(tt.pread(f, 0, 8<<20), want[1000:1000+4<<20])
	tt.ok(f.Sync())
	tt.ok(f.Close())
	eventually(t, "settled", func() bool { return writing(t, d) == 0 })
	tt.ok(d.store.Drop(bg, ds...))
	tt.ok(d.kept(namespace.Root))
	tt.holds("/b", string(want[1000:1000+4<<20]))
}

// What is not here is not taken over: a writer keeps what it writes. What is, is.
func TestCopyOfWhatIsElsewhere(t *testing.T) {
	b := newDevice(t, setup{n: 2})
	want := random(1, 3<<20)
	bt := &T{T: t, Sys: Core(b.fs, self(), "")}
	bt.write("/a", string(want))
	bt.ok(b.fs.Sync(bg))
	tt, d := one(t, setup{wrap: func(c *fs.Config) {
		l := c.Blocks.(*localBlocks)
		l.peers = append(l.peers, b.store)
	}})
	tt.ok(d.pull(b))
	a, f := tt.open("/a", os.O_RDONLY), tt.open("/b", os.O_RDWR|os.O_CREATE)
	_, err := f.CopyFrom(a, 0, 0, 3<<20)
	tt.fails(err, fs.Errno(errs.E("", errs.Unsupported, "", nil)))
	tt.same(tt.pread(a, 0, 1<<20), want[:1<<20]) // brings the first blocks
	n, err := f.CopyFrom(a, 0, 0, 3<<20)
	tt.ok(err)
	if n < 1<<20 || n == 3<<20 {
		t.Errorf("%d bytes were taken over, of 1 MiB that is here", n)
	}
	tt.ok(f.Sync())
	tt.same(tt.pread(f, 0, 3<<20), want[:n])
}

// Nothing is kept of a copy that a crash, or its removal, kept from being saved.
func TestCopyThatIsNotSaved(t *testing.T) {
	dir := t.TempDir()
	d, err := start(dir, setup{n: 1, limits: fs.Limits{Quiet: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	tt := &T{T: t, Sys: Core(d.fs, self(), "")}
	tt.write("/a", string(random(1, 5<<20)))
	tt.ok(d.fs.Sync(bg))
	eventually(t, "settled", func() bool { return writing(t, d) == 0 })
	a, f := tt.open("/a", os.O_RDONLY), tt.open("/b", os.O_RDWR|os.O_CREATE)
	tt.copy(f, 0, a, 0, 5<<20)
	if n := writing(t, d); n != 1 {
		t.Errorf("%d nodes hold blocks that are not saved", n)
	}
	tt.ok(f.Close())
	tt.ok(tt.Unlink("/b"))
	eventually(t, "let go", func() bool { return writing(t, d) == 0 })

	f = tt.open("/c", os.O_RDWR|os.O_CREATE)
	tt.copy(f, 0, a, 0, 5<<20)
	tt.ok(d.names.Sync(bg))
	tt.ok(d.store.Sync(bg))
	tt.ok(d.die())
	d2, err := start(dir, setup{n: 1})
	tt.ok(err)
	tt = &T{T: t, Sys: Core(d2.fs, self(), "")}
	if n := writing(t, d2); n != 0 {
		t.Errorf("%d nodes are still being written", n)
	}
	tt.holds("/c", "")
	tt.holds("/a", string(random(1, 5<<20)))
	tt.ok(d2.kept(namespace.Root))
	tt.ok(d2.stop())
}

// What a copy made the store keep, and what became of it, is let go when the file is saved.
func TestCopyThatIsCutAway(t *testing.T) {
	tt, d := one(t, setup{limits: fs.Limits{Quiet: time.Hour}})
	tt.write("/a", string(random(1, 5<<20)))
	tt.ok(d.fs.Sync(bg))
	a, f := tt.open("/a", os.O_RDONLY), tt.open("/b", os.O_RDWR|os.O_CREATE)
	tt.copy(f, 0, a, 0, 5<<20)
	tt.ok(f.Truncate(0))
	tt.ok(f.Sync())
	eventually(t, "let go", func() bool { return writing(t, d) == 0 })
	tt.ok(f.Close())
	tt.holds("/b", "")
}

// A copy that came to nothing takes nothing from what is written afterwards.
func TestCopyThatFails(t *testing.T) {
	b := newDevice(t, setup{n: 2})
	bt := &T{T: t, Sys: Core(b.fs, self(), "")}
	bt.write("/far", string(random(9, 3<<20)))
	bt.ok(b.fs.Sync(bg))
	r := &recorder{}
	tt, d := one(t, setup{wrap: func(c *fs.Config) {
		l := c.Blocks.(*localBlocks)
		l.peers = append(l.peers, b.store)
		record(r)(c)
	}})
	tt.ok(d.pull(b))
	tt.write("/b", "")
	tt.ok(d.fs.Sync(bg))
	r.slow["Settle"] = 30 * time.Millisecond
	for round := range 5 {
		far, f := tt.open("/far", os.O_RDONLY), tt.open("/b", os.O_RDWR)
		_, err := f.CopyFrom(far, 0, 0, 3<<20)
		tt.fails(err, fs.Errno(errs.E("", errs.Unsupported, "", nil)))
		tt.ok(f.Close())
		tt.ok(far.Close())
		f = tt.open("/b", os.O_RDWR)
		tt.pwrite(f, 0, random(int64(round), 600<<10))
		tt.ok(f.Sync())
		tt.ok(f.Close())
		eventually(t, "settled", func() bool { return writing(t, d) == 0 })
		e, err := d.names.Resolve("b")
		tt.ok(err)
		for _, block := range all(t, d, e.Content) {
			if class, err := d.store.Class(block); err != nil || class != cache.Staged {
				t.Fatalf("%v: block %s, nowhere else, is %v", err, block.Short(), class)
			}
		}
	}
}

// Many small files in one are not as many blocks.
func TestSmallFilesAreCutAnew(t *testing.T) {
	tt, d := one(t, setup{limits: fs.Limits{Quiet: time.Hour}})
	all := tt.open("/all", os.O_RDWR|os.O_CREATE)
	var want []byte
	for i := range 300 {
		body := random(int64(i), 700)
		name := fmt.Sprint("/f", i)
		tt.write(name, string(body))
		if i%100 == 99 {
			tt.ok(d.fs.Sync(bg))
		}
		want = append(want, body...)
	}
	for i := range 300 {
		f := tt.open(fmt.Sprint("/f", i), os.O_RDONLY)
		tt.copy(all, int64(i)*700, f, 0, 700)
		tt.ok(f.Close())
	}
	tt.ok(all.Sync())
	tt.same(tt.pread(all, 0, 1<<20), want)
	tt.write("/anew", string(want))
	tt.ok(d.fs.Sync(bg))
	a, err := d.names.Resolve("all")
	tt.ok(err)
	b, err := d.names.Resolve("anew")
	tt.ok(err)
	if a.Content != b.Content {
		t.Errorf("joined it is %+v, written anew %+v", a.Content, b.Content)
	}
}

// After an error a kernel takes its pages for what the file holds: it is told that they are not.
func TestPagesAfterACopyThatIsNotSynced(t *testing.T) {
	r := &recorder{}
	tt, d := one(t, setup{wrap: record(r)})
	tt.write("/a", string(random(1, 1<<20)))
	tt.write("/b", string(random(2, 1<<20)))
	tt.ok(d.fs.Sync(bg))
	k := &silent{}
	d.fs.SetInvalidator(k)
	a, f := tt.open("/a", os.O_RDONLY), tt.open("/b", os.O_RDWR|os.O_SYNC)
	r.set("store.Sync", errs.E("test", errs.NoSpace, "", nil))
	_, err := f.CopyFrom(a, 0, 0, 1<<20)
	tt.fails(err, fs.Errno(errs.E("", errs.NoSpace, "", nil)))
	eventually(t, "told", func() bool { return k.saw("inode true") })
	r.set("store.Sync", nil)
	tt.same(tt.pread(f, 0, 2<<20), random(1, 1<<20))
}
