package fstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// recorder stands between the filesystem and its parts: it notes what is asked of them, in
// order, and fails what it is told to fail.
type recorder struct {
	fs.Namespace
	fs.Store
	fs.Journal

	mu        sync.Mutex
	log       []string
	staged    int
	committed []uint64                 // sizes
	fail      map[string]error         // by operation
	slow      map[string]time.Duration // by operation
}

func record(r *recorder) func(*fs.Config) {
	return func(c *fs.Config) {
		r.Namespace, r.Store, r.Journal = c.Names, c.Store, c.Journal
		r.fail, r.slow = map[string]error{}, map[string]time.Duration{}
		c.Names, c.Store, c.Journal = recordedNames{r}, recordedStore{r}, recordedJournal{r}
	}
}

func (r *recorder) note(op string) error {
	r.mu.Lock()
	d, err := r.slow[op], r.fail[op]
	r.mu.Unlock()
	time.Sleep(d)
	if err != nil {
		op += " failed"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, op)
	return err
}

func (r *recorder) set(op string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail[op] = err
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.log
	r.log, r.staged = nil, 0
	return l
}

type recordedNames struct{ *recorder }

func (r recordedNames) Sync(ctx context.Context) error {
	if err := r.note("names.Sync"); err != nil {
		return err
	}
	return r.Namespace.Sync(ctx)
}

func (r recordedNames) Commit(id namespace.NodeID, base []namespace.Dot, c blocks.Content, mtime int64, also ...namespace.Also) (namespace.Entry, error) {
	if err := r.note("Commit"); err != nil {
		return namespace.Entry{}, err
	}
	r.mu.Lock()
	r.committed = append(r.committed, c.Size)
	r.mu.Unlock()
	return r.Namespace.Commit(id, base, c, mtime, also...)
}

func (r recordedNames) Rename(a namespace.NodeID, x string, b namespace.NodeID, y string, f namespace.RenameFlag) (namespace.Entry, *namespace.Entry, error) {
	r.note("Rename")
	return r.Namespace.Rename(a, x, b, y, f)
}

type recordedStore struct{ *recorder }

func (r recordedStore) Stage(ctx context.Context, node [16]byte, bs ...blocks.Sealed) error {
	if err := r.note("Stage"); err != nil {
		return err
	}
	r.mu.Lock()
	r.staged += len(bs)
	r.mu.Unlock()
	return r.Store.Stage(ctx, node, bs...)
}

func (r recordedStore) Sync(ctx context.Context) error {
	if err := r.note("store.Sync"); err != nil {
		return err
	}
	return r.Store.Sync(ctx)
}

func (r recordedStore) Settle(keep map[[16]byte][]blocks.Digest) error {
	r.note("Settle")
	return r.Store.Settle(keep)
}

type recordedJournal struct{ *recorder }

func (r recordedJournal) Append(id namespace.NodeID, number uint64, p fs.Promise) error {
	if err := r.note("Append"); err != nil {
		return err
	}
	return r.Journal.Append(id, number, p)
}

func (r recordedJournal) Sync() error {
	if err := r.note("journal.Sync"); err != nil {
		return err
	}
	return r.Journal.Sync()
}

// one is a T over the core of a device of its own.
func one(t *testing.T, s setup) (*T, *device) {
	t.Helper()
	if s.n == 0 {
		s.n = 1
	}
	d := newDevice(t, s)
	return &T{T: t, Sys: Core(d.fs, self(), "")}, d
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// The order is the whole safety argument.
func TestOrderOfSaving(t *testing.T) {
	r := &recorder{}
	tt, _ := one(t, setup{wrap: record(r)})
	f := tt.open("/a", os.O_RDWR|os.O_CREATE)
	tt.pwrite(f, 0, random(1, 300<<10))
	r.take()
	tt.ok(f.Sync())
	eventually(t, "settled", func() bool { return slices.Contains(r.log, "Settle") })
	log := r.take()
	at := func(op string) int { return slices.Index(log, op) }
	lastStage := len(log) - 1
	for ; log[lastStage] != "Stage"; lastStage-- {
	}
	if !(lastStage < at("store.Sync") && at("store.Sync") < at("Commit") && at("Commit") < at("names.Sync") && at("names.Sync") < at("Settle")) {
		t.Errorf("order: %q", log)
	}
}

func TestRenameOverWaitsForTheBytes(t *testing.T) {
	r := &recorder{}
	tt, _ := one(t, setup{wrap: record(r)})
	tt.write("/b", "old")
	f := tt.open("/a", os.O_RDWR|os.O_CREATE)
	tt.pwrite(f, 0, []byte("new"))
	r.take()
	tt.ok(tt.Rename("/a", "/b", Replace))
	log := r.take()
	if i := slices.Index(log, "Commit"); i < 0 || i > slices.Index(log, "Rename") {
		t.Errorf("order: %q", log)
	}
}

func TestFailuresAreToldAndMended(t *testing.T) {
	for op, kind := range map[string]errs.Kind{"Stage": errs.NoSpace, "store.Sync": errs.Corrupt, "Commit": errs.NoSpace} {
		t.Run(op, func(t *testing.T) {
			r := &recorder{}
			tt, _ := one(t, setup{wrap: record(r)})
			want := random(1, 400<<10) // more than is promised without being saved
			f := tt.open("/a", os.O_RDWR|os.O_CREATE)
			tt.pwrite(f, 0, want)
			r.set(op, errs.E("test", kind, "", nil))
			tt.fails(f.Sync(), fs.Errno(errs.E("", kind, "", nil)))
			tt.same(tt.pread(f, 0, 1<<20), want)
			copy(want[1000:], "changed meanwhile")
			tt.pwrite(f, 1000, []byte("changed meanwhile"))
			r.set(op, nil)
			tt.ok(f.Sync())
			tt.same(tt.pread(f, 0, 1<<20), want)
		})
	}
}

// Close tells of a failure in the background: the next one does, after trying again.
func TestCloseTellsFailure(t *testing.T) {
	r := &recorder{}
	tt, d := one(t, setup{wrap: record(r)})
	r.set("Stage", errs.E("test", errs.NoSpace, "", nil))
	f := tt.open("/a", os.O_RDWR|os.O_CREATE)
	g := tt.open("/a", os.O_RDWR)
	tt.pwrite(f, 0, []byte("x"))
	tt.ok(f.Close())
	eventually(t, "tried", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return slices.Contains(r.log, "Stage failed") })
	time.Sleep(20 * time.Millisecond)
	tt.fails(g.Close(), syscall.ENOSPC)
	r.set("Stage", nil)
	tt.ok(d.fs.Sync(context.Background()))
	tt.holds("/a", "x")
	if s := d.fs.Stats(); s.UnsavedFiles != 0 || s.UnsavedBytes != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDiskFullBeforeAccepting(t *testing.T) {
	avail := uint64(1 << 20)
	tt, _ := one(t, setup{wrap: func(c *fs.Config) {
		c.StatFS = func() fs.Usage { return fs.Usage{Total: 1 << 30, Free: avail, Avail: avail} }
	}})
	f := tt.open("/a", os.O_RDWR|os.O_CREATE)
	tt.pwrite(f, 0, make([]byte, 512<<10))
	_, err := f.Pwrite(make([]byte, 600<<10), 512<<10)
	tt.fails(err, syscall.ENOSPC)
	tt.fails(f.Allocate(0, 0, 4<<20), syscall.ENOSPC)
	if st, _ := f.Stat(); st.Size != 512<<10 {
		t.Errorf("size %d after a refused write", st.Size)
	}
}

func TestUnsavedMemoryIsBounded(t *testing.T) {
	r := &recorder{}
	const limit = 4 << 20
	tt, d := one(t, setup{wrap: record(r), limits: fs.Limits{Unsaved: limit}})
	r.slow["Stage"] = time.Millisecond
	most := int64(0)
	var files []File
	for i := range 6 {
		files = append(files, tt.open(fmt.Sprint("/", i), os.O_RDWR|os.O_CREATE))
	}
	for i := range 300 {
		tt.pwrite(files[i%6], int64(i/6)*100000, random(int64(i), 100000))
		most = max(most, d.fs.Stats().UnsavedBytes)
	}
	if most > limit+1<<20 {
		t.Errorf("%d bytes were held, the limit is %d", most, limit)
	}
	for i := range 300 {
		tt.same(tt.pread(files[i%6], int64(i/6)*100000, 100000), random(int64(i), 100000))
	}
}

// … also of files that have no name any more.
func TestUnsavedMemoryOfUnlinkedFiles(t *testing.T) {
	const limit = 4 << 20
	tt, d := one(t, setup{limits: fs.Limits{Unsaved: limit}})
	var files []File
	for i := range 20 {
		f := tt.open("/tmp", os.O_RDWR|os.O_CREATE)
		tt.ok(tt.Unlink("/tmp"))
		tt.pwrite(f, 0, random(int64(i), 1<<20))
		files = append(files, f)
		if n := d.fs.Stats(); n.UnsavedBytes > limit+1<<20 || n.UnsavedFiles > 0 {
			t.Fatalf("%+v", n)
		}
	}
	for i, f := range files {
		tt.same(tt.pread(f, 0, 2<<20), random(int64(i), 1<<20))
		tt.ok(f.Close())
	}
	eventually(t, "freed", func() bool { return d.store.Stats().Staged == 0 && d.fs.Stats().UnsavedBytes == 0 })
}

// … and of one that was busy when somebody began to wait for memory, and is nobody's concern after.
func TestMemoryOfABusyFile(t *testing.T) {
	r := &recorder{}
	tt, _ := one(t, setup{wrap: record(r), limits: fs.Limits{Unsaved: 1 << 20, Quiet: time.Hour}})
	r.slow["names.Sync"] = 200 * time.Millisecond
	a, b := tt.open("/a", os.O_RDWR|os.O_CREATE), tt.open("/b", os.O_RDWR|os.O_CREATE)
	r.take()
	tt.pwrite(a, 0, random(1, 300<<10))
	synced := make(chan error, 1)
	go func() { synced <- a.Sync() }()
	eventually(t, "being saved", func() bool { return slices.Contains(r.take(), "Commit") })
	tt.pwrite(a, 0, random(2, 700<<10))
	tt.ok(tt.Unlink("/a"))
	written := make(chan struct{})
	go func() {
		defer close(written)
		tt.pwrite(b, 0, random(3, 500<<10))
	}()
	select {
	case <-written:
	case <-time.After(10 * time.Second):
		t.Fatal("a writer waits for memory that nobody gives back")
	}
	tt.ok(<-synced)
	tt.same(tt.pread(a, 0, 700<<10), random(2, 700<<10))
}

// What was removed while it was being saved stays removed.
func TestRemovalBeatsCommit(t *testing.T) {
	r := &recorder{}
	tt, _ := one(t, setup{wrap: record(r)})
	r.slow["store.Sync"] = 3 * time.Millisecond
	for i := range 60 {
		tt.write("/a", "x")
		time.Sleep(time.Duration(i%12) * time.Millisecond)
		tt.ok(tt.Unlink("/a"))
	}
	time.Sleep(50 * time.Millisecond)
	tt.missing("/a")
	tt.lists("/")
}

func TestSmallWritesTouchLittle(t *testing.T) {
	r := &recorder{}
	tt, _ := one(t, setup{wrap: record(r)})
	f := tt.open("/db", os.O_RDWR|os.O_CREATE)
	tt.pwrite(f, 0, random(1, 24<<20))
	tt.ok(f.Sync())
	for i := range 20 {
		r.take()
		tt.pwrite(f, int64(i)*1111111/4096*4096, random(int64(i), 4096))
		tt.ok(f.Sync())
		r.mu.Lock()
		staged := r.staged
		r.mu.Unlock()
		if staged > 4 { // the chunk, sometimes cut anew into two or with its neighbour, and the manifest
			t.Errorf("a write of 4 KiB staged %d blocks", staged)
		}
	}
}

func TestQuietFilesAreCommitted(t *testing.T) {
	tt, d := one(t, setup{limits: fs.Limits{Quiet: 20 * time.Millisecond}})
	f := tt.open("/log", os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	tt.append(f, "a line\n")
	eventually(t, "committed", func() bool {
		e, err := d.names.Resolve("log")
		return err == nil && e.Content.Size == 7
	})
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // never rests
		tt.append(f, "another\n")
		if e, _ := d.names.Resolve("log"); e.Content.Size > 7 {
			return
		}
	}
	t.Error("a file that is written all the time is never committed")
}

func TestInterrupt(t *testing.T) {
	tt, d := one(t, setup{limits: fs.Limits{Grace: 150 * time.Millisecond}})
	other := newDevice(t, setup{n: 2})
	join(d, other)
	o := &T{T: t, Sys: Core(other.fs, self(), "")}
	o.write("/block", long(100000))
	o.write("/tree", long(3<<20)) // its manifest has to come first
	tt.ok(other.fs.Sync(context.Background()))
	tt.ok(d.pull(other))
	for _, name := range []string{"block", "tree"} {
		gate := make(chan struct{})
		d.blocks.mu.Lock()
		d.blocks.gate = gate
		d.blocks.mu.Unlock()
		a, err := d.fs.Lookup(context.Background(), fs.RootIno, name)
		tt.ok(err)
		h, err := d.fs.Open(context.Background(), a.Ino, fs.OpenFlags{Read: true})
		tt.ok(err)
		defer h.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		began := time.Now()
		_, err = h.Read(ctx, 0, make([]byte, 10))
		if d := time.Since(began); !errs.Is(err, errs.Interrupted) || d < 100*time.Millisecond || d > 2*time.Second {
			t.Errorf("%s: after %v: %v", name, d, err)
		}
		time.AfterFunc(20*time.Millisecond, func() { close(gate) }) // within the grace
		p := make([]byte, 10)
		if n, err := h.Read(ctx, 0, p); err != nil || string(p[:n]) != long(10) {
			t.Errorf("%s: %q, %v", name, p[:n], err)
		}
	}
}

func TestOffline(t *testing.T) {
	tt, d := one(t, setup{wrap: func(c *fs.Config) {
		c.Why = func(context.Context, namespace.NodeID) string { return "the NAS is asleep" }
	}})
	other := newDevice(t, setup{n: 2})
	o := &T{T: t, Sys: Core(other.fs, self(), "")}
	body := random(1, 700<<10)
	o.write("/far", string(body))
	tt.ok(other.fs.Sync(context.Background()))
	tt.ok(d.pull(other))
	eventually(t, "there", func() bool { _, err := tt.Lstat("/far"); return err == nil })
	_, err := tt.Open("/far", os.O_RDONLY, 0)
	tt.ok(err)
	f := tt.open("/far", os.O_RDWR)
	_, err = f.Pread(make([]byte, 10), 0)
	tt.fails(err, syscall.EHOSTDOWN)
	why, err := tt.Getxattr("/far", fs.WhyAttr)
	tt.ok(err)
	if names, _ := tt.Listxattr("/far"); string(why) != "the NAS is asleep" || len(names) != 0 {
		t.Errorf("why %q, listed %q", why, names)
	}
	// A file can be replaced whose old bytes cannot be had.
	tt.write("/far", "here now")
	tt.ok(d.fs.Sync(context.Background()))
	tt.holds("/far", "here now")

	// A change inside of it cannot be saved until they can, but it can be made durable.
	o.write("/far2", string(body))
	tt.ok(other.fs.Sync(context.Background()))
	tt.ok(d.pull(other))
	g := tt.open("/far2", os.O_RDWR)
	tt.pwrite(g, 1000, []byte("inside"))
	tt.ok(g.Sync())
	if err := d.fs.Sync(context.Background()); fs.Errno(err) != syscall.EHOSTDOWN {
		t.Errorf("saved: %v", err)
	}
	join(d, other)
	tt.ok(d.fs.Sync(context.Background()))
	copy(body[1000:], "inside")
	tt.same(tt.pread(g, 0, 1<<20), body)
}

// A look into a file brings what is looked at; reading on brings more, in time.
func TestDemandLoad(t *testing.T) {
	tt, d := one(t, setup{})
	other := newDevice(t, setup{n: 2})
	join(d, other)
	o := &T{T: t, Sys: Core(other.fs, self(), "")}
	o.write("/film", string(random(1, 30<<20)))
	tt.ok(other.fs.Sync(context.Background()))
	tt.ok(d.pull(other))
	f := tt.open("/film", os.O_RDONLY)
	tt.pread(f, 15<<20+100000, 4096)
	if far := d.blocks.far; far > 2 {
		t.Errorf("a look brought %d blocks", far)
	}
	if d.blocks.ahead != 0 {
		t.Errorf("a look asked %d blocks in advance", d.blocks.ahead)
	}
	for off := int64(0); off < 8<<20; off += 128 << 10 {
		tt.pread(f, off, 128<<10)
	}
	eventually(t, "read ahead", func() bool { d.blocks.mu.Lock(); defer d.blocks.mu.Unlock(); return d.blocks.ahead > 20 })
}

// Who goes through a directory, by name or as it is listed, need not ask for each file; who knows all
// of them asks for none in advance, nor who looks at two.
func TestSweepIsSeen(t *testing.T) {
	for _, by := range []string{"name", "listing"} {
		t.Run(by, func(t *testing.T) {
			tt, d := one(t, setup{})
			other := newDevice(t, setup{n: 2})
			join(d, other)
			o := &T{T: t, Sys: Core(other.fs, self(), "")}
			o.mkdir("/d")
			for i := range 200 {
				o.write(fmt.Sprintf("/d/%03d", i), string(random(int64(i)+1, 5000)))
			}
			tt.ok(other.fs.Sync(context.Background()))
			tt.ok(d.pull(other))
			names, err := tt.ReadDir("/d")
			tt.ok(err)
			if by == "name" {
				slices.Sort(names)
			}
			ahead := func() int { d.blocks.mu.Lock(); defer d.blocks.mu.Unlock(); return d.blocks.ahead }
			read := func(names []string) {
				for _, name := range names {
					if got := tt.read("/d/" + name); len(got) != 5000 {
						t.Fatalf("%s: %d bytes", name, len(got))
					}
				}
			}
			read(names[:2])
			if n := ahead(); n != 0 {
				t.Errorf("two files read, %d asked for", n)
			}
			for i := 2; i < len(names) && ahead() < 150; i++ { // the listing comes beside the reader
				read(names[i : i+1])
			}
			eventually(t, "the following files are asked for", func() bool { return ahead() >= 150 })
			read(names)
			before := ahead()
			read(names)
			if n := ahead(); n > before {
				t.Errorf("%d files that are here were asked for", n-before)
			}
		})
	}
}

func TestErrnoOfKinds(t *testing.T) {
	for k, want := range map[errs.Kind]syscall.Errno{
		errs.Offline: syscall.EHOSTDOWN, errs.Timeout: syscall.ETIMEDOUT, errs.Corrupt: syscall.EIO, errs.NoSpace: syscall.ENOSPC,
		errs.Interrupted: syscall.EINTR, errs.Other: syscall.EIO, errs.NotExist: syscall.ENOENT,
	} {
		if got := fs.Errno(errs.E("x", k, "", nil)); got != want {
			t.Errorf("%v: %v", k, got)
		}
	}
	if fs.Errno(nil) != 0 || fs.Errno(context.Canceled) != syscall.EINTR || fs.Errno(errors.New("x")) != syscall.EIO {
		t.Error("plain errors")
	}
	for k := errs.NotExist; k <= errs.TooManyLink; k++ {
		if e := fs.Errno(errs.E("x", k, "", nil)); e == 0 || (e == syscall.EIO && k != errs.Corrupt && k != errs.Protocol) {
			t.Errorf("kind %v: %v", k, e)
		}
	}
}

// When nothing can be saved, writers are refused instead of filling the memory.
func TestWritersAreRefusedWhenNothingCanBeSaved(t *testing.T) {
	r := &recorder{}
	tt, _ := one(t, setup{wrap: record(r), limits: fs.Limits{Unsaved: 2 << 20}})
	r.set("Stage", errs.E("test", errs.NoSpace, "", nil))
	f := tt.open("/a", os.O_RDWR|os.O_CREATE)
	var err error
	off := int64(0)
	for ; off < 16<<20 && err == nil; off += 256 << 10 {
		_, err = f.Pwrite(random(off, 256<<10), off)
	}
	tt.fails(err, syscall.ENOSPC)
	if off > 4<<20 {
		t.Errorf("%d bytes were taken", off)
	}
	r.set("Stage", nil)
	tt.pwrite(f, 0, random(5, 1<<20))
	tt.ok(f.Sync())
}
