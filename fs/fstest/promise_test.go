package fstest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/journal"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// promised counts the promises that a device remembers.
func promised(t *testing.T, d *device) (n int) {
	t.Helper()
	if err := journal.Open(d.db).Each(func(namespace.NodeID, uint64, fs.Promise) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// What fsync makes durable of a file that is being written needs no version of it, until it rests.
func TestPromises(t *testing.T) {
	r := &recorder{}
	tt, d := one(t, setup{wrap: record(r)})
	f := tt.open("/db", os.O_RDWR|os.O_CREATE)
	tt.pwrite(f, 0, random(1, 1<<20))
	tt.ok(f.Sync())
	r.take()
	for i := range 20 {
		tt.pwrite(f, int64(i)*40_000, random(int64(i), 4096))
		tt.ok(f.Sync())
	}
	if log := r.take(); slices.Contains(log, "Stage") || slices.Contains(log, "Commit") || promised(t, d) != 20 {
		t.Errorf("%d promises: %q", promised(t, d), log)
	}
	tt.ok(f.Sync())
	if log := r.take(); slices.Contains(log, "Append") {
		t.Errorf("nothing was written, and yet: %q", log)
	}
	tt.ok(d.fs.Sync(context.Background()))
	eventually(t, "forgotten", func() bool { return promised(t, d) == 0 })

	// The promises of what is removed are forgotten, too.
	tt.pwrite(f, 5, []byte("x"))
	tt.ok(f.Sync())
	tt.ok(tt.Unlink("/db"))
	f.Close()
	eventually(t, "forgotten", func() bool { return promised(t, d) == 0 })

	// Where nothing can be promised, the file is saved.
	r.set("Append", errs.E("test", errs.NoSpace, "", nil))
	tt.write("/a", "one")
	g := tt.open("/a", os.O_RDWR)
	tt.pwrite(g, 0, []byte("two"))
	r.take()
	tt.ok(g.Sync())
	if log := r.take(); !slices.Contains(log, "Commit") {
		t.Errorf("%q", log)
	}
	g.Close()
}

// After a power cut the promises of a file, one after the other, make it what it was.
func TestPromisesAfterACrash(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			disk := newDisk()
			d, err := start("", setup{n: 1, disk: disk})
			if err != nil {
				t.Fatal(err)
			}
			tt := &T{T: t, Sys: Core(d.fs, self(), "")}
			var want []byte
			f := tt.open("/f", os.O_RDWR|os.O_CREATE)
			for range 40 {
				switch dice.IntN(6) {
				case 0:
					size := dice.IntN(300_000)
					tt.ok(f.Truncate(int64(size)))
					want = append(want, make([]byte, max(0, size-len(want)))...)[:size]
				case 1:
					tt.ok(f.Sync())
				default:
					off, data := dice.IntN(200_000), random(dice.Int64(), 1+dice.IntN(20_000))
					tt.pwrite(f, int64(off), data)
					want = append(want, make([]byte, max(0, off+len(data)-len(want)))...)
					copy(want[off:], data)
				}
			}
			tt.ok(f.Sync())
			disk = disk.cut(0, dice)
			tt.ok(d.stop())
			if d, err = start("", setup{n: 1, disk: disk}); err != nil {
				t.Fatal(err)
			}
			tt = &T{T: t, Sys: Core(d.fs, self(), "")}
			tt.holds("/f", string(want))
			tt.ok(d.fs.Sync(context.Background()))
			tt.holds("/f", string(want))
			eventually(t, "forgotten", func() bool { return promised(t, d) == 0 })
			tt.lists("/", "f")
			tt.ok(d.stop())
		})
	}
}

// What follows a promise that is damaged would be a mixture: the file is as it was before that.
func TestDamagedPromise(t *testing.T) {
	disk := newDisk()
	d, err := start("", setup{n: 1, disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	tt := &T{T: t, Sys: Core(d.fs, self(), "")}
	f := tt.open("/f", os.O_RDWR|os.O_CREATE)
	for _, s := range []string{"one", "two", "three"} {
		tt.append(f, s)
		tt.ok(f.Sync())
	}
	j := journal.Open(d.db)
	var of namespace.NodeID
	tt.ok(j.Each(func(id namespace.NodeID, _ uint64, _ fs.Promise) error { of = id; return nil }))
	tt.ok(j.Drop(of, 2, 2))
	tt.ok(d.db.Sync())
	disk = disk.cut(0, rand.New(rand.NewPCG(1, 1)))
	tt.ok(d.stop())
	if d, err = start("", setup{n: 1, disk: disk}); err != nil {
		t.Fatal(err)
	}
	tt = &T{T: t, Sys: Core(d.fs, self(), "")}
	tt.holds("/f", "one")
	tt.ok(d.fs.Sync(context.Background()))
	eventually(t, "forgotten", func() bool { return promised(t, d) == 0 })
	tt.ok(d.stop())
}
