package fstest

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

func TestTmpfile(t *testing.T) {
	for _, size := range []int{0, 1000, 30 << 20} { // the last is partly sealed when it is linked
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			tt, d := one(t, setup{})
			ctx, want := context.Background(), random(1, size)
			a, h, err := d.fs.Tmpfile(ctx, self(), fs.RootIno, 0o640, fs.OpenFlags{Read: true, Write: true})
			tt.ok(err)
			if a.Nlink != 0 {
				t.Errorf("nlink %d", a.Nlink)
			}
			for off := 0; off < size; off += 1 << 20 {
				_, err := h.WriteAt(ctx, int64(off), want[off:min(size, off+1<<20)], fs.WriteFlags{})
				tt.ok(err)
			}
			tt.ok(h.Sync(ctx))
			tt.lists("/")
			var l fs.Answer
			eventually(t, "linked", func() bool { // Busy while a part is being sealed
				l, err = d.fs.Link(ctx, a.Ino, fs.RootIno, "named")
				return !errs.Is(err, errs.Busy)
			})
			tt.ok(err)
			if l.Ino != a.Ino || l.Nlink != 1 || l.Size != int64(size) {
				t.Errorf("%+v", l)
			}
			tt.ok(h.Sync(ctx))
			h.Close()
			d.fs.Forget(a.Ino, 2)
			tt.holds("/named", string(want))
			eventually(t, "no longer in use", func() bool { return d.fs.Stats().Inodes == 1 })
			if st := tt.stat("/named"); st.Mode != 0o640 || st.Ino != uint64(a.Ino) {
				t.Errorf("mode %o, number %d, was %d", st.Mode, st.Ino, a.Ino)
			}
		})
	}
}

func TestTmpfileVanishes(t *testing.T) {
	tt, d := one(t, setup{})
	_, h, err := d.fs.Tmpfile(context.Background(), self(), fs.RootIno, 0o600, fs.OpenFlags{Read: true, Write: true})
	tt.ok(err)
	_, err = h.WriteAt(context.Background(), 0, random(1, 20<<20)[:1<<20], fs.WriteFlags{})
	tt.ok(err)
	h.Close()
	d.fs.Forget(h.Ino(), 1)
	eventually(t, "gone", func() bool { s := d.fs.Stats(); return s.Inodes == 1 && s.UnsavedBytes == 0 })
}

func TestOwnersAndGroups(t *testing.T) {
	_, d := one(t, setup{wrap: func(c *fs.Config) { c.UID, c.GID = 1000, 1000 }})
	person := &T{T: t, Sys: Core(d.fs, fs.Caller{UID: 1000, GID: 1000}, "")}
	other := &T{T: t, Sys: Core(d.fs, fs.Caller{UID: 1234, GID: 55}, "")}
	person.write("/mine", "")
	other.write("/theirs", "")
	if st := person.stat("/mine"); st.UID != 1000 || st.GID != 1000 {
		t.Errorf("mine: %+v", st)
	}
	if st := person.stat("/theirs"); st.UID != 1234 || st.GID != 55 {
		t.Errorf("theirs: %+v", st)
	}
	// The person's files are the person's on every device, whatever the number there.
	e, err := d.names.Resolve("mine")
	person.ok(err)
	if e.UID != fs.OwnerID || e.GID != fs.OwnerID {
		t.Errorf("stored: %d %d", e.UID, e.GID)
	}
	person.ok(person.Chown("/theirs", 1000, -1))
	if e, _ := d.names.Resolve("theirs"); e.UID != fs.OwnerID || e.GID != 55 {
		t.Errorf("stored after chown: %d %d", e.UID, e.GID)
	}
	// A set-gid directory passes its group on.
	person.mkdir("/d")
	person.ok(person.Chown("/d", -1, 77))
	person.ok(person.Chmod("/d", 0o2775))
	person.write("/d/f", "")
	person.mkdir("/d/sub")
	if f, s := person.stat("/d/f"), person.stat("/d/sub"); f.GID != 77 || s.GID != 77 || s.Mode&0o2000 == 0 {
		t.Errorf("%+v %+v", f, s)
	}
}

func TestWritingDropsSetID(t *testing.T) {
	tt, d := one(t, setup{})
	tt.write("/prog", "x")
	tt.ok(tt.Chmod("/prog", 0o6755))
	a, err := d.fs.Lookup(bg, fs.RootIno, "prog")
	tt.ok(err)
	h, err := d.fs.Open(bg, a.Ino, fs.OpenFlags{Write: true})
	tt.ok(err)
	_, err = h.WriteAt(bg, 0, []byte("y"), fs.WriteFlags{})
	tt.ok(err)
	if got := tt.stat("/prog").Mode; got != 0o6755 {
		t.Errorf("a privileged write left mode %o", got)
	}
	_, err = h.WriteAt(bg, 0, []byte("z"), fs.WriteFlags{ClearSetID: true})
	tt.ok(err)
	h.Close()
	if got := tt.stat("/prog").Mode; got != 0o755 {
		t.Errorf("a write without privileges left mode %o", got)
	}
}

// Blocks of a write that a crash interrupted are found and freed, those of a committed one
// kept.
func TestRecovery(t *testing.T) {
	dir := t.TempDir()
	r := &recorder{}
	d, err := start(dir, setup{n: 1, wrap: record(r)})
	if err != nil {
		t.Fatal(err)
	}
	tt := &T{T: t, Sys: Core(d.fs, self(), "")}
	// Committed, but the process ends before its blocks are settled.
	r.slow["Settle"] = time.Hour
	tt.write("/kept", string(random(1, 500<<10)))
	tt.ok(d.fs.Sync(bg))
	// Sealed in part, never committed.
	f := tt.open("/lost", os.O_RDWR|os.O_CREATE)
	for off := int64(0); off < 16<<20; off += 1 << 20 {
		tt.pwrite(f, off, random(off, 1<<20))
	}
	eventually(t, "staged", func() bool { return d.store.Stats().Staged > 6<<20 })
	tt.ok(d.store.Sync(bg))
	tt.ok(d.die())
	d2, err := start(dir, setup{n: 1})
	tt.ok(err)
	tt = &T{T: t, Sys: Core(d2.fs, self(), "")}
	if n := writing(t, d2); n != 0 {
		t.Errorf("%d nodes are still being written", n)
	}
	if got := d2.store.Stats().Staged; got < 500<<10 || got > 700<<10 {
		t.Errorf("%d bytes staged", got)
	}
	tt.holds("/kept", string(random(1, 500<<10)))
	tt.holds("/lost", "")
	tt.ok(d2.stop())
}

// The file that a crash interrupted is another device's by now, whose bytes are not here: the
// filesystem starts all the same, keeps what it cannot judge, and judges it once it can.
func TestRecoveryWithoutTheOtherDevice(t *testing.T) {
	b := newDevice(t, setup{n: 2})
	body := string(random(1, 2<<20))
	bt := &T{T: t, Sys: Core(b.fs, self(), "")}
	bt.write("/doc", body)
	bt.ok(b.fs.Sync(bg))

	dir := t.TempDir()
	a, err := start(dir, setup{n: 1})
	bt.ok(err)
	bt.ok(a.pull(b))
	at := &T{T: t, Sys: Core(a.fs, self(), "")}
	f := at.open("/doc", os.O_RDWR|os.O_TRUNC)
	for off := int64(0); off < 16<<20; off += 1 << 20 {
		at.pwrite(f, off, random(100+off, 1<<20))
	}
	eventually(t, "staged", func() bool { return a.store.Stats().Staged > 6<<20 })
	at.ok(a.store.Sync(bg))
	at.ok(a.die())

	alone, err := start(dir, setup{n: 1})
	at.ok(err)
	if n := writing(t, alone); n != 1 {
		t.Errorf("%d nodes are still being written, while it is not known whose bytes are named", n)
	}
	at.ok(alone.stop())

	again, err := start(dir, setup{n: 1, wrap: func(c *fs.Config) {
		l := c.Blocks.(*localBlocks)
		l.peers = append(l.peers, b.store)
	}})
	at.ok(err)
	if n := writing(t, again); n != 0 {
		t.Errorf("%d nodes are still being written", n)
	}
	(&T{T: t, Sys: Core(again.fs, self(), "")}).holds("/doc", body)
	at.ok(again.stop())
}

func writing(t *testing.T, d *device) int {
	t.Helper()
	n := 0
	for _, err := range d.store.Owners(cache.Writing) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Two devices change one file at the same time: both versions stay, on both.
func TestConflict(t *testing.T) {
	a, b := newDevice(t, setup{n: 1}), newDevice(t, setup{n: 2})
	join(a, b)
	at, bt := &T{T: t, Sys: Core(a.fs, self(), "")}, &T{T: t, Sys: Core(b.fs, self(), "")}
	exchange := func() {
		t.Helper()
		at.ok(a.fs.Sync(bg))
		at.ok(b.fs.Sync(bg))
		at.ok(a.pull(b))
		at.ok(b.pull(a))
	}
	at.write("/doc", "base")
	exchange()
	f := at.open("/doc", os.O_RDWR)
	at.pwrite(f, 0, []byte("A's "))
	bt.write("/doc", "by B")
	exchange()
	at.ok(f.Close())
	exchange()
	for _, x := range []*T{at, bt} {
		names, err := x.ReadDir("/")
		x.ok(err)
		bodies := map[string]bool{}
		for _, n := range names {
			bodies[x.read("/"+n)] = true
		}
		if len(names) != 2 || !bodies["A's "] || !bodies["by B"] {
			t.Errorf("%q %v", names, bodies)
		}
	}
	// A reader causes none, and a file open without changes shows the new bytes.
	g := at.open("/new", os.O_RDWR|os.O_CREATE)
	at.pwrite(g, 0, []byte("one"))
	exchange()
	bt.write("/new", "two, longer")
	exchange()
	eventually(t, "shown", func() bool { return string(at.pread(g, 0, 99)) == "two, longer" })
	at.pwrite(g, 0, []byte("TWO"))
	exchange()
	bt.holds("/new", "TWO, longer")
	if names, _ := bt.ReadDir("/"); len(names) != 3 {
		t.Errorf("%q", names)
	}
}

// Nothing is kept of what the kernel has forgotten and nobody uses.
func TestTableShrinks(t *testing.T) {
	tt, d := one(t, setup{})
	for i := range 100 {
		tt.write(fmt.Sprint("/f", i), "x")
	}
	for i := range 100 {
		tt.read(fmt.Sprint("/f", i))
		tt.ok(tt.Unlink(fmt.Sprint("/f", i)))
	}
	tt.ok(d.fs.Sync(bg))
	eventually(t, "empty", func() bool { return d.fs.Stats().Inodes == 1 })
}

// An answer that may be old by the time it arrives is not to be kept.
func TestAnswersAcrossAChange(t *testing.T) {
	tt, d := one(t, setup{})
	other := newDevice(t, setup{n: 2})
	o := &T{T: t, Sys: Core(other.fs, self(), "")}
	tt.write("/a", "x")
	tt.ok(d.fs.Sync(bg)) // a save in between would have the entry read again
	dir, err := d.fs.Opendir(bg, fs.RootIno)
	tt.ok(err)
	var seen fs.Dirent
	tt.ok(dir.Read(bg, 0, func(e fs.Dirent) bool { seen = e; return true }))
	if a, _ := dir.Mention(seen); !a.Cache {
		t.Error("not kept though nothing changed")
	}
	before := d.fs.Stats().Foreign
	o.write("/b", "y")
	tt.ok(other.fs.Sync(bg))
	tt.ok(d.pull(other))
	eventually(t, "noticed", func() bool { return d.fs.Stats().Foreign > before })
	if a, _ := dir.Mention(seen); a.Cache {
		t.Error("an entry read before a change may be kept")
	}
	d.fs.Forget(seen.Ino, 2)
}

// A file that is saved while an answer about it is made does not show as it was before.
func TestAnswersAcrossASave(t *testing.T) {
	var slow slowLookup
	tt, d := one(t, setup{wrap: func(c *fs.Config) { slow.Namespace, c.Names = c.Names, &slow }})
	const set = int64(1234567e9)
	f := tt.open("/f", os.O_RDWR|os.O_CREATE)
	tt.pwrite(f, 0, []byte("bytes"))
	tt.ok(tt.Utimes("/f", set, set))
	slow.after = func() { tt.ok(d.fs.Sync(bg)) }
	a, err := d.fs.Lookup(bg, fs.RootIno, "f")
	tt.ok(err)
	if a.Size != 5 || a.Mtime != set {
		t.Errorf("size %d, mtime %d", a.Size, a.Mtime)
	}
	tt.holds("/f", "bytes")
	tt.ok(f.Close())
}

// A save in the background changes nothing that stat tells.
func TestSaveChangesNoAttributes(t *testing.T) {
	tt, d := one(t, setup{})
	for name, change := range map[string]func(f File){
		"written":   func(f File) { tt.pwrite(f, 0, []byte("bytes")) },
		"truncated": func(f File) { tt.ok(tt.Truncate("/truncated", 7)) },
		"timed": func(f File) {
			tt.pwrite(f, 0, []byte("bytes"))
			tt.ok(tt.Utimes("/timed", 1234567e9, 7654321e9))
		},
	} {
		f := tt.open("/"+name, os.O_RDWR|os.O_CREATE)
		change(f)
		before := tt.stat("/" + name)
		tt.ok(d.fs.Sync(bg))
		after := tt.stat("/" + name)
		if name == "timed" {
			after.Ctime = before.Ctime // is when the record was made
		}
		if after != before {
			t.Errorf("%s: stat told\n%+v, after the save\n%+v", name, before, after)
		}
		tt.ok(f.Close())
	}
}

// A listing goes on with what it read before; what was done here since shows all the same.
func TestListingAcrossOwnChanges(t *testing.T) {
	tt, d := one(t, setup{})
	tt.write("/a", "x")
	tt.write("/b", "x")
	dir, err := d.fs.Opendir(bg, fs.RootIno)
	tt.ok(err)
	seen := map[string]fs.Dirent{}
	tt.ok(dir.Read(bg, 0, func(e fs.Dirent) bool { seen[e.Name] = e; return true }))
	tt.ok(tt.Chmod("/a", 0o600))
	tt.ok(tt.Unlink("/b"))
	if a, ok := dir.Mention(seen["a"]); !ok || a.Mode != 0o600 {
		t.Errorf("%v, mode %o", ok, a.Mode)
	}
	if _, ok := dir.Mention(seen["b"]); ok {
		t.Error("told of a file that is gone")
	}
	d.fs.Forget(seen["a"].Ino, 1)
}

// A listing that is begun anew, as by rewinddir(3), shows what was made since.
func TestListingBegunAnew(t *testing.T) {
	tt, d := one(t, setup{})
	tt.write("/a", "x")
	dir, err := d.fs.Opendir(bg, fs.RootIno)
	tt.ok(err)
	defer dir.Close()
	list := func(most int) (names []string) {
		tt.ok(dir.Read(bg, 0, func(e fs.Dirent) bool { names = append(names, e.Name); return len(names) < most }))
		slices.Sort(names)
		return names
	}
	list(3) // not to the end: what was read ahead is still there
	tt.write("/b", "x")
	tt.ok(tt.Unlink("/a"))
	if got := list(10); !slices.Equal(got, []string{".", "..", "b"}) {
		t.Error(got)
	}
}

// slowLookup does something between reading an entry and answering with it.
type slowLookup struct {
	fs.Namespace
	after func()
}

func (s *slowLookup) Lookup(dir namespace.NodeID, name string) (namespace.Entry, error) {
	e, err := s.Namespace.Lookup(dir, name)
	if do := s.after; do != nil {
		s.after = nil
		do()
	}
	return e, err
}

type silent struct {
	mu    sync.Mutex
	calls []string
}

func (s *silent) note(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
	return nil
}
func (s *silent) Inode(i fs.Ino, data bool) error     { return s.note("inode %v", data) }
func (s *silent) Entry(_ fs.Ino, name string) error   { return s.note("entry %s", name) }
func (s *silent) Left(_ fs.Ino, name string) error    { return s.note("left %s", name) }
func (s *silent) Gone(_, _ fs.Ino, name string) error { return s.note("gone %s", name) }
func (s *silent) saw(want string) bool                { return s.count(want) > 0 }
func (s *silent) count(want string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == want {
			n++
		}
	}
	return n
}

// Everything is taken back when the watcher lost count.
func TestOverflow(t *testing.T) {
	feed := make(chan []namespace.Change)
	tt, d := one(t, setup{wrap: func(c *fs.Config) { c.Changes = changes(feed) }})
	tt.write("/a", "x")
	k := &silent{}
	d.fs.SetInvalidator(k)
	a, err := d.fs.Lookup(bg, fs.RootIno, "a")
	tt.ok(err)
	if _, err := d.fs.Lookup(bg, fs.RootIno, "not there"); !errs.Is(err, errs.NotExist) {
		t.Fatal(err)
	}
	feed <- []namespace.Change{{What: namespace.Overflow}}
	eventually(t, "taken back", func() bool { return k.saw("entry a") && k.saw("inode true") && k.saw("entry not there") })
	d.fs.Forget(a.Ino, 1)
}

// A kernel that keeps listings hears of a change in one, and once more when it has read on: what it
// had then may have been on its way.
func TestListingIsTakenBack(t *testing.T) {
	feed := make(chan []namespace.Change)
	tt, d := one(t, setup{wrap: func(c *fs.Config) { c.Changes = changes(feed) }})
	tt.mkdir("/d")
	tt.write("/d/a", "x")
	k := &silent{}
	a, err := d.fs.Lookup(bg, fs.RootIno, "d")
	tt.ok(err)
	id, err := d.names.Lookup(namespace.Root, "d")
	tt.ok(err)
	d.fs.SetInvalidator(k)
	told := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprint("told ", n, " times"), func() bool { return k.count("inode true") == n })
	}
	read := func(l *fs.Dir, from uint64) (next uint64) {
		tt.ok(l.Read(bg, from, func(e fs.Dirent) bool { next = e.Offset; return true }))
		return next
	}
	change := func() {
		feed <- []namespace.Change{{What: namespace.NameChanged, Parent: id.ID, Name: "b", Remote: true}}
	}
	l, err := d.fs.Opendir(bg, a.Ino)
	tt.ok(err)
	next := read(l, 0)
	change()
	told(1)
	read(l, next)
	told(2)
	read(l, 0)
	change()
	told(3)
	l.Close()
	told(4)
	l, err = d.fs.Opendir(bg, a.Ino)
	tt.ok(err)
	read(l, read(l, 0))
	l.Close()
	change() // after which nothing else is under way
	told(5)
	d.fs.Forget(a.Ino, 1)
}

// A file that is open, was removed and collected elsewhere, and comes back with other bytes, looks like a
// new name: the kernel forgets the bytes that it has of it all the same.
func TestBackWithOtherBytes(t *testing.T) {
	feed := make(chan []namespace.Change)
	tt, d := one(t, setup{wrap: func(c *fs.Config) { c.Changes = changes(feed) }})
	tt.write("/a", "x")
	tt.write("/b", "other")
	tt.ok(d.fs.Sync(bg))
	a, err := d.names.Lookup(namespace.Root, "a")
	tt.ok(err)
	b, err := d.names.Lookup(namespace.Root, "b")
	tt.ok(err)
	known, err := d.fs.Lookup(bg, fs.RootIno, "a")
	tt.ok(err)
	defer d.fs.Forget(known.Ino, 1)
	f := tt.open("/a", os.O_RDONLY)
	k := &silent{}
	d.fs.SetInvalidator(k)
	shows := []namespace.Change{{What: namespace.NameChanged, Parent: namespace.Root, Name: "a", Node: a.ID, Remote: true}}
	feed <- shows
	eventually(t, "told of the name", func() bool { return k.saw("inode false") }) // the bytes are the same
	_, err = d.names.Commit(a.ID, a.Versions, b.Content, namespace.Now)
	tt.ok(err)
	feed <- shows
	eventually(t, "told of the bytes", func() bool { return k.count("inode true") == 3 }) // the directory twice
	tt.same(tt.pread(f, 0, 9), []byte("other"))
	tt.ok(f.Close())
}

type changes chan []namespace.Change

func (c changes) Next(ctx context.Context) ([]namespace.Change, error) {
	select {
	case v := <-c:
		return v, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Many goroutines do everything at once for a while; then all must be as the last wrote it.
func TestStress(t *testing.T) {
	tt, d := one(t, setup{limits: fs.Limits{Unsaved: 8 << 20, Quiet: 5 * time.Millisecond}})
	var wg sync.WaitGroup
	want := make([]map[string]string, 4)
	for g := range want {
		want[g] = map[string]string{}
		wg.Go(func() {
			rng := rand.New(rand.NewSource(int64(g)))
			s := Core(d.fs, self(), "")
			dir := fmt.Sprint("/g", g)
			s.Mkdir(dir, 0o755)
			for range 250 {
				p := filepath.Join(dir, fmt.Sprint(rng.Intn(6)))
				switch rng.Intn(8) {
				case 0:
					if err := s.Unlink(p); err == nil {
						delete(want[g], p)
					}
				case 1:
					q := filepath.Join(dir, fmt.Sprint(rng.Intn(6)))
					if err := s.Rename(p, q, Replace); err == nil && p != q {
						want[g][q] = want[g][p]
						delete(want[g], p)
					}
				case 2:
					if f, err := s.Open(p, os.O_RDWR, 0); err == nil {
						if err := f.Sync(); err != nil {
							t.Error(err)
						}
						f.Close()
					}
				case 3:
					s.ReadDir(dir)
				default:
					f, err := s.Open(p, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
					if err != nil {
						t.Error(err)
						return
					}
					body := random(rng.Int63(), rng.Intn(1<<uint(rng.Intn(20))))
					f.Pwrite(body, 0)
					if rng.Intn(2) == 0 && len(body) > 0 {
						f.Pwrite([]byte{1}, int64(len(body)/2))
						body[len(body)/2] = 1
					}
					f.Close()
					want[g][p] = string(body)
				}
			}
		})
	}
	wg.Wait()
	tt.ok(d.fs.Sync(bg))
	for g := range want {
		for p, body := range want[g] {
			tt.holds(p, body)
		}
		names, err := tt.ReadDir(fmt.Sprint("/g", g))
		tt.ok(err)
		if len(names) != len(want[g]) {
			t.Errorf("%d names, want %d", len(names), len(want[g]))
		}
	}
	eventually(t, "all saved", func() bool { s := d.fs.Stats(); return s.UnsavedFiles == 0 && s.UnsavedBytes == 0 })
	eventually(t, "all settled", func() bool { return writing(t, d) == 0 })
}
