package cache

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/blocks"
)

// What may go any more goes by itself, and the disk has its room again: by holes, or where none can be
// made by copying what stays together.
func TestSpaceComesBackInTime(t *testing.T) {
	for name, holes := range map[string]bool{"by holes": true, "by copying": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spaceComesBack(t, holes)
		})
	}
}

func spaceComesBack(t *testing.T, holes bool) {
	dir := t.TempDir()
	var o Options
	o.fault.segment = 2 << 20
	s := open(t, dir, o)
	s.noPunch.Store(!holes)
	var kept []blocks.Sealed
	for i := range 240 {
		b := block(uint64(i), 64<<10-100)
		if i%4 == 0 {
			must(t, s.Own(Owner{Pin, node(1)}, b.Digest))
			kept = append(kept, b)
		}
		must(t, s.PutBlock(bg, b))
	}
	must(t, s.Sync(bg))
	full := diskUsage(t, dir)
	if full < 240<<16 {
		t.Fatalf("only %d on the disk", full)
	}
	time.Sleep(3 * settleDelay)          // what the puts woke has come to rest
	s.SetLimit(s.Stats().Pinned + 1<<20) // nobody calls anything after this
	for end := time.Now().Add(30 * time.Second); diskUsage(t, dir) > full/2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("holes %v: %d of %d bytes still on the disk, for %d", holes, diskUsage(t, dir), full, s.Stats().Used)
		}
	}
	for _, b := range kept {
		wantBytes(t, s, b)
	}
	audit(t, s)
}

// written counts what goes to a disk.
type written struct{ atomic.Int64 }

type countingDisk struct {
	disk
	n *written
}

type countingFile struct {
	segFile
	n *written
}

func (d countingDisk) Create(no uint32) (segFile, error) {
	f, err := d.disk.Create(no)
	return countingFile{f, d.n}, err
}

func (d countingDisk) Open(no uint32) (segFile, error) {
	f, err := d.disk.Open(no)
	return countingFile{f, d.n}, err
}

func (f countingFile) WriteAt(p []byte, off int64) (int, error) {
	f.n.Add(int64(len(p)))
	return f.segFile.WriteAt(p, off)
}

func (f countingFile) WriteBoth(a, b []byte, off int64, once bool) error {
	f.n.Add(int64(len(a) + len(b)))
	return f.segFile.WriteBoth(a, b, off, once)
}

type countingFS struct {
	vfs.FS
	n *written
}

type countingFSFile struct {
	vfs.File
	n *written
}

func (c countingFS) Create(name string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, cat)
	return countingFSFile{f, c.n}, err
}

func (c countingFS) ReuseForWrite(old, name string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(old, name, cat)
	return countingFSFile{f, c.n}, err
}

func (f countingFSFile) Write(p []byte) (int, error) {
	f.n.Add(int64(len(p)))
	return f.File.Write(p)
}

func (f countingFSFile) WriteAt(p []byte, off int64) (int, error) {
	f.n.Add(int64(len(p)))
	return f.File.WriteAt(p, off)
}

// How much is written for each byte admitted, with eviction at work all the time: see EVICTION.md.
func TestWriteAmplification(t *testing.T) {
	const limit = 32 << 20
	turns := int64(5) // of all that the cache holds
	if testing.Short() {
		turns = 2
	}
	for name, c := range map[string]struct {
		holes bool
		size  func(*rand.Rand) int
		most  float64
	}{
		"large blocks":                {true, func(r *rand.Rand) int { return 64<<10 + r.IntN(960<<10) }, 1.1},
		"large blocks, without holes": {false, func(r *rand.Rand) int { return 64<<10 + r.IntN(960<<10) }, 1.6},
		"small blocks":                {true, func(r *rand.Rand) int { return 1<<10 + r.IntN(15<<10) }, 4},
	} {
		t.Run(name, func(t *testing.T) {
			var segs, index written
			o := Options{Limit: limit}
			o.fault.segment = 4 << 20
			o.fault.disk = countingDisk{newMemDisk(), &segs}
			o.fault.db.FS = countingFS{vfs.NewMem(), &index}
			s := open(t, t.TempDir(), o)
			s.noPunch.Store(!c.holes)
			rng := rand.New(rand.NewPCG(5, 5))
			var admitted int64
			for i := 0; admitted < turns*limit; i++ {
				b := block(uint64(i), c.size(rng))
				must(t, s.PutBlock(bg, b))
				admitted += int64(len(b.Bytes))
				if i%8 == 0 { // some of it is used, so that segments empty unevenly
					_, err := s.GetBlock(bg, b.Digest)
					must(t, err)
				}
				if i%64 == 0 {
					must(t, s.Sync(bg))
					s.compact(bg)
				}
			}
			must(t, s.Close())
			segments, rows := float64(segs.Load())/float64(admitted), float64(index.Load())/float64(admitted)
			t.Logf("%s: %.2f bytes written for each admitted: %.2f to segments, %.2f to the index", name, segments+rows, segments, rows)
			if segments+rows > c.most || segments+rows < 1 {
				t.Errorf("%.2f, want 1 to %.2f", segments+rows, c.most)
			}
		})
	}
}
