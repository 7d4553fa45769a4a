package kv

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelffs/shelf/internal/errs"
)

// quotaFS is a disk of a fixed size, which somebody else may fill, and which may break.
type quotaFS struct {
	vfs.FS
	mu     sync.Mutex
	free   int64
	broken string // writes to files of this extension fail with EIO
	sizes  map[string]int64
}

func newQuotaFS(fs vfs.FS, free int64) *quotaFS {
	return &quotaFS{FS: fs, free: free, sizes: map[string]int64{}}
}

func (q *quotaFS) take(n int64) { q.mu.Lock(); q.free -= n; q.mu.Unlock() }

func (q *quotaFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: uint64(max(q.free, 0)), TotalBytes: 1 << 40}, nil
}

func (q *quotaFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	q.release(name)
	f, err := q.FS.Create(name, c)
	return &quotaFile{File: f, q: q, name: name}, err
}

func (q *quotaFS) ReuseForWrite(o, n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	q.release(o)
	f, err := q.FS.ReuseForWrite(o, n, c)
	return &quotaFile{File: f, q: q, name: n}, err
}

func (q *quotaFS) Remove(name string) error { q.release(name); return q.FS.Remove(name) }

func (q *quotaFS) release(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += q.sizes[name]
	delete(q.sizes, name)
}

type quotaFile struct {
	vfs.File
	q    *quotaFS
	name string
}

func (f *quotaFile) Write(p []byte) (int, error) {
	f.q.mu.Lock()
	broken := f.q.broken != "" && filepath.Ext(f.name) == f.q.broken
	n := min(int64(len(p)), max(f.q.free, 0))
	if !broken {
		f.q.free -= n
		f.q.sizes[f.name] += n
	}
	f.q.mu.Unlock()
	if broken {
		return 0, syscall.EIO
	}
	m, err := f.File.Write(p[:n])
	if err == nil && n < int64(len(p)) {
		err = syscall.ENOSPC
	}
	return m, err
}

func (f *quotaFile) Preallocate(int64, int64) error { return nil }

func openOn(t *testing.T, fs FS, o Options) *DB {
	t.Helper()
	o.FS = fs
	return open(t, "db", o)
}

// fill writes rows of 64 KiB until the store refuses, and returns how many it took.
func fill(t *testing.T, db *DB, from int) (n int, err error) {
	t.Helper()
	v := bytes.Repeat([]byte{1}, 64<<10)
	for n = from; n < from+4000; n++ {
		b := db.Batch()
		_ = b.Set(db.Key('f', U64(uint64(n))), v)
		if err := b.Commit(NoSync); err != nil {
			return n, err
		}
	}
	t.Fatal("never refused")
	return
}

func TestFullDiskRefusesWritesAndRecovers(t *testing.T) {
	for _, floor := range []int64{4 << 20, -1} { // seen coming; met without warning
		t.Run(fmt.Sprint(floor), func(t *testing.T) {
			q := newQuotaFS(vfs.NewMem(), 16<<20)
			db := openOn(t, q, Options{FreeFloor: floor, memTable: 1 << 20})
			n, err := fill(t, db, 0)
			if !errs.Is(err, errs.NoSpace) {
				t.Fatalf("on a full disk: %v", err)
			}
			if err := db.Sync(); err != nil {
				t.Fatalf("Sync of what was accepted: %v", err)
			}
			if m := db.Metrics(); !m.Full || m.Failed != nil {
				t.Fatalf("metrics %+v", m)
			}
			for i := range n {
				if ok, err := db.Has(db.Key('f', U64(uint64(i)))); !ok || err != nil {
					t.Fatalf("row %d of %d: %v %v", i, n, ok, err)
				}
			}
			// Deleting works, as soon as a table that is being written has let go of its log; and room
			// made elsewhere ends the state.
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				b := db.Batch()
				_ = b.Delete(db.Key('f', U64(0)))
				if err = b.Commit(Sync); !errs.Is(err, errs.NoSpace) || time.Now().After(end) {
					break
				}
			}
			if err != nil {
				t.Errorf("delete on a full disk: %v", err)
			}
			q.take(-16 << 20)
			set(t, db, db.Key('g'), "again")
			if err := db.Sync(); err != nil {
				t.Error(err)
			}
			if db.Metrics().Full {
				t.Error("still full")
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			q.take(-32 << 20) // opening wants room for tables
			db = openOn(t, q, Options{})
			if v, err := db.Get(db.Key('g')); string(v) != "again" {
				t.Error(err)
			}
			if ok, _ := db.Has(db.Key('f', U64(uint64(n-1)))); !ok {
				t.Error("the last accepted row is gone")
			}
		})
	}
}

func TestFailedDiskKeepsWhatWasDurable(t *testing.T) {
	for _, how := range []string{"log breaks", "tables break", "full without ballast"} {
		t.Run(how, func(t *testing.T) {
			mem := vfs.NewMem()
			q := newQuotaFS(mem, 128<<20)
			db := openOn(t, q, Options{FreeFloor: -1, Ballast: -1, memTable: 1 << 20})
			b := db.Batch()
			_ = b.Set(db.Key('a'), []byte("durable"))
			if err := b.Commit(Sync); err != nil {
				t.Fatal(err)
			}
			want := errs.NoSpace
			q.mu.Lock()
			switch how {
			case "log breaks":
				q.broken, want = ".log", errs.Other
			case "tables break":
				q.broken, want = ".sst", errs.Other
			default:
				q.free = 1 << 20
			}
			q.mu.Unlock()
			var err error
			for i := range 4000 {
				b := db.Batch()
				_ = b.Set(db.Key('f', U64(uint64(i))), make([]byte, 64<<10))
				if err = b.Commit(Durability(i%4 == 3)); err != nil {
					break
				}
			}
			if err == nil || errs.KindOf(err) != want {
				t.Fatalf("commit on a failed disk: %v", err)
			}
			if err := db.Sync(); err == nil {
				t.Error("Sync on a failed disk says yes")
			}
			if db.Metrics().Failed == nil {
				t.Error("metrics don't tell")
			}
			b = db.Batch()
			_ = b.Set(db.Key('b'), nil)
			if err := b.Commit(NoSync); err == nil {
				t.Error("a write after the failure was accepted")
			}
			if v, err := db.Get(db.Key('a')); string(v) != "durable" {
				t.Errorf("read after the failure: %v", err)
			}
			done := make(chan error, 1)
			go func() { done <- db.Close() }()
			select {
			case err := <-done:
				if err == nil {
					t.Error("Close says yes")
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Close hangs")
			}
			db = openOn(t, mem, Options{})
			if v, err := db.Get(db.Key('a')); string(v) != "durable" {
				t.Errorf("after reopening: %v", err)
			}
		})
	}
}

// What survives a crash of the machine is a prefix of the commits, and holds all that were
// synced.
func TestCrashKeepsAPrefix(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		mem := vfs.NewCrashableMem()
		db := openOn(t, mem, Options{Ballast: -1})
		synced, n := 0, 100+rng.IntN(200)
		for i := range n {
			b := db.Batch()
			_ = b.Set(db.Key('r', U64(uint64(i))), make([]byte, rng.IntN(20000)))
			d := Durability(rng.IntN(10) == 0)
			if err := b.Commit(d); err != nil {
				t.Fatal(err)
			}
			if d == Sync {
				synced = i + 1
			} else if rng.IntN(20) == 0 {
				if err := db.Sync(); err != nil {
					t.Fatal(err)
				}
				synced = i + 1
			}
		}
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		after := openOn(t, clone, Options{})
		got := 0
		if err := after.Scan(after.Key('r'), func(k Key, _ []byte) bool {
			if !bytes.Equal(k, after.Key('r', U64(uint64(got)))) {
				t.Errorf("seed %d: row %d is missing", seed, got)
				return false
			}
			got++
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if got < synced || got > n {
			t.Errorf("seed %d: %d rows survived, %d were synced, %d written", seed, got, synced, n)
		}
		_ = after.Close()
		_ = db.Close()
	}
}

// The power is cut before each sync of a store's first steps, also on a disk that keeps the names in
// a directory in no order: the store opens, with what was durable.
func TestCrashAmidOpening(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	mem := vfs.NewCrashableMem()
	for round := range 3 {
		at := &syncFS{FS: mem, before: func() {
			for range 4 {
				clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
				db, err := Open("db", testMaster, Options{FS: clone, Ballast: -1})
				if err != nil {
					t.Errorf("round %d: %v", round, err)
					return
				}
				if _, err := db.Get(db.Key('a')); round > 0 && err != nil {
					t.Errorf("round %d: what was durable: %v", round, err)
				}
				_ = db.Close()
			}
		}}
		db := openOn(t, at, Options{Ballast: -1})
		set(t, db, db.Key('a'), fmt.Sprint(round))
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// syncFS calls before ahead of each sync, one at a time.
type syncFS struct {
	vfs.FS
	mu     sync.Mutex
	before func()
}

type syncFile struct {
	vfs.File
	fs *syncFS
}

func (fs *syncFS) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &syncFile{f, fs}, nil
}

func (fs *syncFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file(fs.FS.Create(name, c))
}

func (fs *syncFS) OpenDir(name string) (vfs.File, error) { return fs.file(fs.FS.OpenDir(name)) }

func (f *syncFile) Sync() error {
	f.fs.mu.Lock()
	f.fs.before()
	f.fs.mu.Unlock()
	return f.File.Sync()
}

func (f *syncFile) SyncData() error { return f.Sync() }

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none"), testMaster, Options{ReadOnly: true}); !errs.Is(err, errs.NotExist) {
		t.Errorf("read-only without a store: %v", err)
	}
	db := open(t, dir, Options{})
	set(t, db, db.Key('a'), "v")
	if _, err := Open(dir, testMaster, Options{}); !errs.Is(err, errs.Busy) {
		t.Errorf("opened twice: %v", err)
	}
	_ = db.Close()
	if _, err := Open(dir, [32]byte{9}, Options{}); !errs.Is(err, errs.Permission) {
		t.Errorf("wrong key: %v", err)
	}
	ro := open(t, dir, Options{ReadOnly: true})
	if v, err := ro.Get(ro.Key('a')); string(v) != "v" {
		t.Error(err)
	}
	b := ro.Batch()
	_ = b.Set(ro.Key('a'), nil)
	if err := b.Commit(Sync); !errs.Is(err, errs.ReadOnly) {
		t.Errorf("write to a read-only store: %v", err)
	}
	_ = ro.Close()
}

// Whatever is overwritten or cut off in the store's files is reported as Corrupt, by Open or
// by the reads that meet it, and never crashes.
func TestDamagedFiles(t *testing.T) {
	base := vfs.NewMem()
	db := openOn(t, base, Options{Ballast: -1})
	for i := range 300 {
		set(t, db, db.Key('r', U64(uint64(i))), fmt.Sprintf("%0500d", i))
	}
	if err := db.engine.(*disk).p.Flush(); err != nil {
		t.Fatal(err)
	}
	set(t, db, db.Key('s'), "in the log")
	_ = db.Close()
	names, _ := base.List("db")
	for _, name := range names {
		for _, how := range []string{"flip", "cut", "gone"} {
			fs := vfs.NewMem()
			if _, err := vfs.Clone(base, fs, "db", "db"); err != nil {
				t.Fatal(err)
			}
			path := "db/" + name
			data := readAll(t, fs, path)
			switch {
			case how == "gone":
				_ = fs.Remove(path)
			case len(data) == 0:
				continue
			default:
				if how == "flip" {
					data[len(data)/3] ^= 0x40
				} else {
					data = data[:len(data)/3]
				}
				f, _ := fs.Create(path, "")
				_, _ = f.Write(data)
				_ = f.Close()
			}
			after, err := Open("db", testMaster, Options{FS: fs, Ballast: -1})
			if err == nil {
				err = after.Scan(after.Key('r'), func(Key, []byte) bool { return true })
				_ = after.Close()
			}
			if err != nil && !errs.Is(err, errs.Corrupt) {
				t.Errorf("%s %s: %v", name, how, err)
			}
		}
	}
}

func readAll(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
