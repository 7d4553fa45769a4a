package cache

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// memDisk keeps segments in memory. It can fill up, fail its syncs, and lose what was not
// synced.
type memDisk struct {
	mu       sync.Mutex
	files    map[uint32]*memFile
	room     int64 // bytes that may still be written; < 0: no bound
	failSync bool
	syncs    int
}

type memFile struct {
	d            *memDisk
	data, synced []byte
	inDir        bool // its name is durable
}

func (d *memDisk) Mkdir() error { return nil }

func newMemDisk() *memDisk { return &memDisk{files: map[uint32]*memFile{}, room: -1} }

func (d *memDisk) Create(no uint32) (segFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files[no] != nil {
		return nil, fs.ErrExist
	}
	f := &memFile{d: d}
	d.files[no] = f
	return f, nil
}

func (d *memDisk) Open(no uint32) (segFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[no]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (d *memDisk) Remove(no uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, no)
	return nil
}

func (d *memDisk) List() (out []segInfo, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for no, f := range d.files {
		out = append(out, segInfo{no, int64(len(f.data)), int64(len(f.data))})
	}
	return out, nil
}

func (d *memDisk) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		f.inDir = true
	}
	return nil
}

// crash returns the disk as a power failure may leave it: each 4096 bytes not synced are there,
// or are not, or are garbage.
func (d *memDisk) crash(rng *rand.Rand) *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := newMemDisk()
	for no, f := range d.files {
		if !f.inDir && rng.IntN(2) == 0 {
			continue
		}
		data := append([]byte(nil), f.data...)
		for off := 0; off < len(data); off += 4096 {
			page := data[off:min(off+4096, len(data))]
			old := make([]byte, len(page))
			if off < len(f.synced) {
				copy(old, f.synced[off:])
			}
			if string(old) != string(page) && rng.IntN(3) > 0 {
				copy(page, old)
			}
		}
		if n := len(data) - len(f.synced); n > 0 && rng.IntN(2) == 0 {
			data = data[:len(f.synced)+rng.IntN(n+1)]
		}
		out.files[no] = &memFile{d: out, data: data, synced: append([]byte(nil), data...), inDir: true}
	}
	return out
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.room >= 0 {
		if f.d.room < int64(len(p)) {
			return 0, &fs.PathError{Op: "write", Path: "segment", Err: syscall.ENOSPC}
		}
		f.d.room -= int64(len(p))
	}
	if end := int(off) + len(p); end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	return copy(f.data[off:], p), nil
}

func (f *memFile) WriteBoth(a, b []byte, off int64, _ bool) error { return writeEach(f, a, b, off) }

func (f *memFile) Datasync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.syncs++
	if f.d.failSync {
		return syscall.EIO
	}
	f.synced = append(f.synced[:0], f.data...)
	return nil
}

func (f *memFile) Punch(off, n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	for _, b := range [][]byte{f.data, f.synced} { // at once durable: the worst for a row that comes back
		if off < int64(len(b)) {
			clear(b[off:min(off+n, int64(len(b)))])
		}
	}
	return nil
}

// NextData takes every page of zeros for a hole, as a disk may that was told so.
func (f *memFile) NextData(off int64) int64 {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	for end := off; off < int64(len(f.data)); off = end {
		end = min(off+4096, int64(len(f.data)))
		if slices.ContainsFunc(f.data[off:end], func(b byte) bool { return b != 0 }) {
			return off
		}
	}
	return math.MaxInt64
}

func (f *memFile) Soon(int64, int64) {}

func (f *memFile) Close() error { return nil }

func openMem(t *testing.T, dir string, d *memDisk, fs vfs.FS, o Options) *Store {
	t.Helper()
	o.fault.disk, o.fault.db.FS = d, fs
	return open(t, dir, o)
}

// After a power failure at any moment: what was synced is there, whatever else is there is
// right, nothing is reported as damage, and the sums hold.
func TestPowerFailure(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 9))
		d, mem := newMemDisk(), vfs.NewCrashableMem()
		o := Options{Limit: 3 << 20}
		o.fault.segment = 1 << 20
		dir := t.TempDir()
		s := openMem(t, dir, d, mem, o)
		var all []blocks.Sealed
		synced := map[blocks.Digest]bool{} // staged, and synced since
		var waiting []blocks.Digest
		for i := range 150 {
			b := block(seed<<32|uint64(i), rng.IntN(60<<10))
			all = append(all, b)
			switch rng.IntN(8) {
			case 0:
				must(t, s.Stage(bg, node(1), b))
				waiting = append(waiting, b.Digest)
			case 1:
				must(t, s.Sync(bg))
				for _, w := range waiting {
					synced[w] = true
				}
				waiting = nil
			case 2:
				s.compact(bg)
			default:
				if err := s.PutBlock(bg, b); !errs.Is(err, errs.NoSpace) {
					must(t, err)
				}
			}
		}
		// The index first: the other order would be another moment.
		fs2 := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		d2 := d.crash(rng)
		o.OnCorrupt = func(d blocks.Digest, was Class) { t.Errorf("seed %d: %v block %s reported", seed, was, d.Short()) }
		after := openMem(t, dir, d2, fs2, o)
		for _, b := range all {
			got, err := after.GetBlock(bg, b.Digest)
			switch {
			case err == nil && string(got.Bytes) != string(b.Bytes):
				t.Errorf("seed %d: other bytes", seed)
			case err != nil && !errs.Is(err, errs.NotExist):
				t.Errorf("seed %d: %v", seed, err)
			case err != nil && synced[b.Digest]:
				t.Errorf("seed %d: a synced block is gone", seed)
			}
			if synced[b.Digest] {
				wantClass(t, after, Staged, b.Digest)
			}
		}
		audit(t, after)
		must(t, after.Close())
		must(t, s.Close())
	}
}

// A killed process leaves a block, and the name of its segment, in the system's memory. Who finds it
// there and is told that it is durable has it after a power failure, too.
func TestPowerFailureAfterAKill(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 10))
		d, mem, dir := newMemDisk(), vfs.NewCrashableMem(), t.TempDir()
		b := block(seed, 100<<10)
		killed := openMem(t, dir, d, mem, Options{})
		must(t, killed.Stage(bg, node(1), b))
		if seed%2 == 0 { // otherwise the index knows nothing of the segment
			must(t, killed.db.Sync())
		}
		mem = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
		s := openMem(t, dir, d, mem, Options{})
		must(t, s.Stage(bg, node(2), b))
		must(t, s.Sync(bg))
		after := openMem(t, dir, d.crash(rng), mem.CrashClone(vfs.CrashCloneCfg{}), Options{})
		wantBytes(t, after, b)
	}
}

func TestFullDisk(t *testing.T) {
	d := newMemDisk()
	s := openMem(t, t.TempDir(), d, vfs.NewMem(), Options{})
	a, b := block(1, 200<<10), block(2, 200<<10)
	must(t, s.Stage(bg, node(1), a))
	d.mu.Lock()
	d.room = 100 << 10
	d.mu.Unlock()
	if err := s.Stage(bg, node(1), b); !errs.Is(err, errs.NoSpace) {
		t.Errorf("Stage: %v", err)
	}
	if err := s.PutBlock(bg, b); !errs.Is(err, errs.NoSpace) {
		t.Errorf("PutBlock: %v", err)
	}
	wantClass(t, s, None, b.Digest)
	wantBytes(t, s, a)
	must(t, s.Sync(bg))
	audit(t, s)
	d.mu.Lock()
	d.room = 1 << 30
	d.mu.Unlock()
	must(t, s.Stage(bg, node(1), b))
	wantBytes(t, s, b)
	audit(t, s)
}

// Seen coming: writes are refused before the disk is full, fetched blocks make room first.
func TestDiskFloor(t *testing.T) {
	dir := t.TempDir()
	free := int64(100 << 20)
	o := Options{DiskFloor: 10 << 20}
	o.fault.free = func() int64 { return free - diskUsage(t, dir) }
	s := open(t, dir, o)
	for i := range 120 { // 120 MB through a disk of 100
		must(t, s.PutBlock(bg, block(uint64(i), 1<<20)))
		if room := s.DiskRoom(Staged); room < 80<<20 || room > 90<<20 || room-s.DiskRoom(Pinned) != 10<<20 {
			t.Fatalf("room for %d, although nothing but the floor and the index is taken", room)
		}
		if o.fault.free() < 20<<20-2<<20 {
			t.Fatalf("only %d left", o.fault.free())
		}
	}
	var err error
	n := 0
	for ; n < 200 && err == nil; n++ {
		err = s.Stage(bg, node(1), block(uint64(1000+n), 1<<20))
	}
	if room := s.DiskRoom(Staged); room > 1<<20 {
		t.Errorf("room for %d is told, and 1 MiB was refused", room)
	}
	if !errs.Is(err, errs.NoSpace) || n < 80 || o.fault.free() < 10<<20 {
		t.Errorf("after %d MB staged: %v, %d left", n, err, o.fault.free())
	}
	if st := s.Stats(); st.Fetched > 2<<20 {
		t.Errorf("fetched blocks stayed: %+v", st)
	}
	audit(t, s)
}

func TestAFailedSyncPromisesNothing(t *testing.T) {
	d := newMemDisk()
	s := openMem(t, t.TempDir(), d, vfs.NewMem(), Options{})
	must(t, s.Stage(bg, node(1), block(1, 50<<10)))
	d.mu.Lock()
	d.failSync = true
	d.mu.Unlock()
	if err := s.Sync(bg); err == nil {
		t.Fatal("Sync says yes")
	}
	d.mu.Lock()
	d.failSync = false
	d.mu.Unlock()
	if err := s.Sync(bg); err == nil {
		t.Error("a second Sync says yes, although the pages may be gone")
	}
	wantBytes(t, s, block(1, 50<<10))
}

// Many syncs at once share rounds.
func TestSyncsAreShared(t *testing.T) {
	d := newMemDisk()
	s := openMem(t, t.TempDir(), d, vfs.NewMem(), Options{})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			b := block(uint64(i), 20<<10)
			if err := errors.Join(s.Stage(bg, node(1), b), s.Sync(bg)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(s.unsynced) != 0 {
		t.Errorf("%d blocks not synced", len(s.unsynced))
	}
	if d.syncs > 64 {
		t.Errorf("%d syncs for 64 callers", d.syncs)
	}
}
