package fstest

import (
	"os"
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs/holes"
	"github.com/shelffs/shelf/internal/namespace"
)

// What a device knows of holes it knows after a restart. Another one takes the size, asks for
// nothing, and knows it, too, once it has read the file.
func TestHolesAreKept(t *testing.T) {
	const size, least, most = 1 << 30, 4096, 64 << 10
	dir := t.TempDir()
	d, err := start(dir, setup{n: 1})
	if err != nil {
		t.Fatal(err)
	}
	tt := &T{T: t, Sys: Core(d.fs, self(), "")}
	f := tt.open("/f", os.O_RDWR|os.O_CREATE)
	tt.ok(f.Truncate(size))
	tt.pwrite(f, 1<<29, random(1, 4096))
	tt.ok(f.Close())
	tt.write("/gone", string(random(2, 1<<20)))
	tt.ok(tt.Truncate("/gone", 4<<20))
	tt.ok(d.fs.Sync(bg))
	eventually(t, "both are kept", func() bool { return len(keptHoles(t, d)) == 2 })
	kept := keptHoles(t, d)
	tt.ok(d.stop())

	if d, err = start(dir, setup{n: 1}); err != nil {
		t.Fatal(err)
	}
	tt = &T{T: t, Sys: Core(d.fs, self(), "")}
	if got := tt.stat("/f").Blocks * 512; got < least || got > most {
		t.Errorf("%d bytes after a restart", got)
	}
	tt.ok(tt.Unlink("/gone"))

	o := newDevice(t, setup{n: 2})
	join(d, o)
	ot := &T{T: t, Sys: Core(o.fs, self(), "")}
	tt.ok(o.pull(d))
	if got := ot.stat("/f").Blocks * 512; got != size || o.blocks.asked != 0 {
		t.Errorf("elsewhere: %d bytes, after asking for %d blocks", got, o.blocks.asked)
	}
	g := ot.open("/f", os.O_RDONLY)
	ot.same(ot.pread(g, 1<<29, 4096), random(1, 4096))
	ot.ok(g.Close())
	if got := ot.stat("/f").Blocks * 512; got < least || got > most {
		t.Errorf("elsewhere, once it was read: %d bytes", got)
	}

	tt.write("/f", string(random(3, 4<<20))) // no holes any more
	tt.ok(d.fs.Sync(bg))
	for id := range kept { // as what is of contents that are gone for another reason
		tt.ok(holes.Open(d.db).Set(id, blocks.Digest{1}, 1))
	}
	tt.ok(d.stop())
	if d, err = start(dir, setup{n: 1}); err != nil {
		t.Fatal(err)
	}
	if left := keptHoles(t, d); len(left) != 0 {
		t.Errorf("still kept: %v", left)
	}
	tt.ok(d.stop())
}

func keptHoles(t *testing.T, d *device) map[namespace.NodeID]uint64 {
	t.Helper()
	out := map[namespace.NodeID]uint64{}
	err := holes.Open(d.db).Each(func(id namespace.NodeID, _ blocks.Digest, stored uint64) { out[id] = stored })
	if err != nil {
		t.Fatal(err)
	}
	return out
}
