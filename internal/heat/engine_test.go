package heat

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/simnet"
	"github.com/shelffs/shelf/internal/wire"
)

// world is a namespace that all devices see alike and at once, and a network between them.
type world struct {
	t   *testing.T
	net *simnet.Net

	mu    sync.Mutex
	files map[namespace.NodeID]namespace.Entry
	devs  []*dev
}

// dev is one device: its engine, and what of contents is on it.
type dev struct {
	*Engine
	*bench
	w       *world
	id      ident.DeviceID
	host    *simnet.Host
	changes chan []namespace.Change
	stop    func()

	// Guarded by world.mu.
	far    bool // its peers are not on its network
	room   int64
	place  map[namespace.NodeID]namespace.Placement
	here   map[blocks.Digest]bool
	came   map[namespace.NodeID]int64
	order  []namespace.NodeID // in which it came
	fails  error
	turn   int64                   // bytes that come at once; 0: all
	parts  map[blocks.Digest]int64 // of contents that are here in part
	tries  int
	sealer *seal.Sealer
}

const mib = 1 << 20

func newWorld(t *testing.T) *world {
	return &world{t: t, net: simnet.New(simnet.Link{Latency: time.Millisecond}), files: map[namespace.NodeID]namespace.Entry{}}
}

// add starts a device in the bubble of a test, which must call stop.
func (w *world) add() *dev {
	d := &dev{bench: newBench(w.t, time.Now), w: w, room: 100 * mib, place: map[namespace.NodeID]namespace.Placement{}, here: map[blocks.Digest]bool{}, parts: map[blocks.Digest]int64{},
		came: map[namespace.NodeID]int64{}, changes: make(chan []namespace.Change, 64), sealer: seal.New(ident.ShareID{1}, 1, [32]byte{7})}
	key := ed25519.NewKeyFromSeed(fmt.Appendf(make([]byte, 0, 32), "%032d", len(w.devs)))
	d.id = ident.DeviceIDOf(key)
	d.host = w.net.Host(d.id)
	w.mu.Lock()
	w.devs = append(w.devs, d)
	w.mu.Unlock()
	d.Engine = New(Config{Self: d.id, Meter: d.Meter, Names: d, Network: d.host, Sealer: d, Device: d})
	ctx, cancel := context.WithCancel(context.Background())
	events, end := d.host.Subscribe()
	var wg sync.WaitGroup
	wg.Go(func() { d.Run(ctx, d, events) })
	d.stop = func() { cancel(); end(); wg.Wait() }
	return d
}

func (w *world) stop() {
	for _, d := range w.devs {
		d.stop()
		_ = d.Meter.Close()
	}
}

func (d *dev) Get(n namespace.NodeID) (namespace.Entry, error) {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	if e, ok := d.w.files[n]; ok {
		return e, nil
	}
	return namespace.Entry{}, errs.E("test", errs.NotExist, "", nil)
}

func (d *dev) Placement(n namespace.NodeID, _ ident.DeviceID) (eff, own namespace.Placement, err error) {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	return d.place[n], d.place[n], nil
}

func (d *dev) Next(ctx context.Context) ([]namespace.Change, error) {
	select {
	case c := <-d.changes:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *dev) SealRecord(header, payload []byte) []byte { return d.sealer.SealRecord(header, payload) }
func (d *dev) OpenRecord(header, sealed []byte) ([]byte, error) {
	return d.sealer.OpenRecord(header, sealed)
}

func (d *dev) Near() []ident.DeviceID {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	var out []ident.DeviceID
	for _, c := range d.host.Connected() {
		for _, o := range d.w.devs {
			if o.id == c && !o.far && !d.far {
				out = append(out, c)
			}
		}
	}
	return out
}

func (d *dev) Missing(_ context.Context, c blocks.Content) int64 {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	if d.here[c.Root] {
		return 0
	}
	return int64(c.Size) - d.parts[c.Root]
}

func (d *dev) Bring(_ context.Context, c blocks.Content, why Reason) (int64, error) {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.tries++
	if d.fails != nil {
		return 0, d.fails
	}
	if d.turn > 0 && int64(c.Size)-d.parts[c.Root] > d.turn {
		d.parts[c.Root] += d.turn
		return d.turn, errs.E("test", errs.Timeout, "", nil)
	}
	d.here[c.Root] = true
	return int64(c.Size) - d.parts[c.Root], nil
}

func (d *dev) Brought(n namespace.NodeID, _ Reason, bytes int64) {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.came[n] += bytes
	d.order = append(d.order, n)
}

func (d *dev) Room() int64 {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	return d.room
}

// set changes something that the mutex guards.
func (d *dev) set(f func()) {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	f()
}

// writes has a device make a new content of a file in a folder.
func (d *dev) writes(file, folder, version int, size int64) namespace.NodeID {
	n, root := node(file), blocks.Digest{1, byte(file >> 8), byte(file), byte(version)}
	d.w.mu.Lock()
	d.w.files[n] = namespace.Entry{ID: n, Kind: namespace.File, Parent: node(1000 + folder), Content: blocks.Content{Root: root, Size: uint64(size)}}
	d.here[root] = true
	devs := slices.Clone(d.w.devs)
	d.w.mu.Unlock()
	for _, o := range devs {
		if o != d {
			o.changes <- []namespace.Change{{What: namespace.ContentChanged, Node: n, Remote: true}}
		}
	}
	return n
}

func (d *dev) brought() map[namespace.NodeID]int64 {
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	return maps.Clone(d.came)
}

func (d *dev) wants(what string, files ...namespace.NodeID) {
	d.w.t.Helper()
	got := d.brought()
	if len(got) != len(files) {
		d.w.t.Errorf("%s: %d files were brought, want %d", what, len(got), len(files))
	}
	for _, n := range files {
		if got[n] == 0 {
			d.w.t.Errorf("%s: a file was not brought", what)
		}
	}
}

// play runs a test in virtual time with two devices.
func play(t *testing.T, f func(w *world, a, b *dev)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		f(w, w.add(), w.add())
	})
}

// later lets virtual time pass for all devices.
func (w *world) later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// What is used on one device comes to the other within seconds, once for each content, and what is not used does not.
func TestHandOff(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		doc := a.writes(1, 0, 1, mib)
		a.writes(2, 0, 1, mib)
		w.later(time.Minute)
		b.wants("before it is used")
		a.Use(doc)
		w.later(10 * time.Second)
		b.wants("used on a", doc)
		if why, ok := b.Kept(doc); !ok || why != UsedElsewhere {
			t.Error("it is not told why")
		}
		if dev, h := b.Elsewhere(doc); dev != a.id || h < 0.9 {
			t.Errorf("hot on %v: %v", dev, h)
		}
		b.set(func() { clear(b.here) }) // evicted
		w.later(time.Hour)
		if got := b.brought()[doc]; got != mib {
			t.Errorf("what was evicted was brought again: %d bytes", got)
		}
		a.writes(1, 0, 2, mib)
		w.later(10 * time.Second)
		if got := b.brought()[doc]; got != 2*mib {
			t.Errorf("the newer content was not brought: %d bytes", got)
		}
		a.wants("the device that has it")
	})
}

// The order of use, writing and meeting does not matter: who comes home finds the work of the day.
func TestHandOffWhenTheyMeet(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		w.net.Partition(a.id, b.id)
		doc, old := a.writes(1, 0, 1, mib), a.writes(2, 1, 1, mib)
		a.Use(old) // too long ago to be what somebody works on
		w.later(4 * 24 * time.Hour)
		a.Use(doc)
		w.later(time.Hour)
		b.wants("apart")
		w.net.Heal(a.id, b.id)
		w.later(10 * time.Second)
		b.wants("together", doc)
	})
}

func TestNoHandOffOverTheInternet(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		w.add() // near, so that there is somebody to ask
		b.set(func() { a.far = true })
		doc := a.writes(1, 0, 1, mib)
		a.Use(doc)
		w.later(time.Hour)
		b.wants("far away")
		// Nor if the other one tells all the same, or told before this one left.
		if err := a.say(context.Background(), b.id, a.sealer.SealRecord(header(a.id), a.working().encode())); err != nil {
			t.Fatal(err)
		}
		w.later(time.Minute)
		b.wants("told from far away")
		b.set(func() { a.far = false })
		a.Use(doc)
		w.later(time.Minute)
		b.wants("come home", doc)
		b.set(func() { a.far = true })
		a.writes(1, 0, 2, mib)
		w.later(time.Hour)
		if got := b.brought()[doc]; got != mib {
			t.Errorf("brought over the internet: %d bytes", got)
		}
	})
}

func TestWishesAreLeftAlone(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		var files []namespace.NodeID
		for i := range 4 {
			files = append(files, a.writes(i+1, i, 1, mib))
		}
		b.set(func() { b.place[files[0]], b.place[files[1]] = namespace.Cloud, namespace.Pinned })
		b.Use(files[2], files[2], files[2])
		b.Free(files[2])
		b.Use(files[0], files[0], files[0]) // also one that is hot here
		a.Use(files...)
		w.later(time.Minute)
		b.wants("all but those of which a person has said something", files[3])
		b.Use(files[2])
		w.later(10 * time.Minute)
		b.wants("freed, and used again", files[2], files[3])
	})
}

// No more than the budget is brought, the hottest first; nothing without room; and a file that changes all
// the time costs no more than the budget in a day.
func TestBudget(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		b.set(func() { b.room = 10 * mib })
		w.net.Partition(a.id, b.id) // until all is used
		var files []namespace.NodeID
		for i := range 8 {
			files = append(files, a.writes(i+1, i, 1, 3*mib))
		}
		huge := a.writes(9, 9, 1, 11*mib)
		a.Use(huge, huge, huge, huge)
		for i, n := range files {
			for range i + 1 {
				a.Use(n)
			}
		}
		w.net.Heal(a.id, b.id)
		w.later(time.Hour)
		b.wants("of eight", files[5:]...)
		if s := b.Stats(); s.Files != 3 || s.Bytes != 9*mib || s.Room != 10*mib {
			t.Errorf("%+v", s)
		}
		for v := range 40 {
			a.writes(8, 7, v+2, 3*mib)
			w.later(15 * time.Minute)
		}
		total := int64(0)
		for _, n := range b.brought() {
			total += n
		}
		if total > 10*mib {
			t.Errorf("%d MiB in a day", total/mib)
		}
		w.later(24 * time.Hour)
		if got := b.brought()[files[7]]; got != 6*mib {
			t.Errorf("the next day: %d MiB", got/mib)
		}
	})
	play(t, func(w *world, a, b *dev) {
		b.set(func() { b.room = 0 })
		doc := a.writes(1, 0, 1, 1)
		a.Use(doc)
		b.Use(doc, doc)
		w.later(time.Hour)
		b.wants("without room")
		b.set(func() { b.room = mib })
		w.later(time.Hour)
		b.wants("with room again", doc)
	})
}

// What is hot on this device is kept up to date from wherever it can be had, until it is cold.
func TestHotHereIsKept(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		a.set(func() { a.far = true })
		doc, once := a.writes(1, 0, 1, mib), a.writes(2, 1, 1, mib)
		b.Use(doc, once)
		w.later(3 * 24 * time.Hour)
		b.wants("used once")
		b.Use(doc)
		w.later(time.Minute)
		b.wants("used twice in a week", doc)
		b.restartless(t, doc)
		w.later(6 * 24 * time.Hour) // less than it takes to become hot, more than to stop being so
		a.writes(1, 0, 2, mib)
		w.later(time.Minute)
		if got := b.brought()[doc]; got != 2*mib {
			t.Errorf("it changed elsewhere: %d bytes", got)
		}
		w.later(6 * 24 * time.Hour)
		w.later(6 * 24 * time.Hour)
		a.writes(1, 0, 3, mib)
		w.later(time.Hour)
		if got := b.brought()[doc]; got != 2*mib {
			t.Errorf("cold by now: %d bytes", got)
		}
	})
}

// restartless checks that a choice is remembered in the rows, where the next start finds it.
func (d *dev) restartless(t *testing.T, n namespace.NodeID) {
	t.Helper()
	if !d.Of(n).kept {
		t.Error("that it is kept is not remembered")
	}
}

// A new file in a folder where somebody works comes; one elsewhere does not.
func TestNewFilesInHotFolders(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		a.set(func() { a.far = true })
		for i := range 20 {
			n := a.writes(i+1, 0, 1, 1)
			b.set(func() { b.here[blocks.Digest{1, 0, byte(i + 1), 1}] = true })
			b.Use(n)
		}
		w.later(time.Minute)
		b.wants("what is here already")
		fresh := a.writes(50, 0, 1, mib)
		a.writes(51, 1, 1, mib)
		w.later(time.Minute)
		b.wants("new in a folder that is used", fresh)
		named := node(52) // what comes whole has a name before anything else is told of it
		b.set(func() {
			w.files[named] = namespace.Entry{ID: named, Kind: namespace.File, Parent: node(1000), Content: blocks.Content{Root: blocks.Digest{52}, Size: mib}}
		})
		b.changes <- []namespace.Change{{What: namespace.NameChanged, Node: named, Remote: true}}
		w.later(time.Minute)
		b.wants("new, and told by its name", fresh, named)
	})
}

// A content that cannot be had is tried less and less often, and at once when there is a newer one.
func TestVainTriesBecomeRare(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		b.set(func() { b.fails = errs.E("test", errs.Offline, "", nil) })
		doc := a.writes(1, 0, 1, mib)
		a.Use(doc)
		w.later(24 * time.Hour)
		tries := 0
		b.set(func() { tries = b.tries })
		if tries < 4 || tries > 40 {
			t.Errorf("tried %d times in a day", tries)
		}
		b.set(func() { b.fails = nil })
		a.Use(doc)
		a.writes(1, 0, 2, mib)
		w.later(10 * time.Second)
		b.wants("a newer one", doc)
	})
	play(t, func(w *world, a, b *dev) { // and when somebody comes who may have it
		w.net.Partition(a.id, b.id)
		b.set(func() { b.fails = errs.E("test", errs.Offline, "", nil) })
		doc := a.writes(1, 0, 1, mib)
		b.Use(doc, doc)
		w.later(24 * time.Hour)
		b.set(func() { b.fails = nil })
		w.net.Heal(a.id, b.id)
		w.later(10 * time.Second)
		b.wants("somebody came", doc)
	})
}

// A large file comes in turns, takes from the budget what it brings and no more, and lets smaller ones go first.
func TestLargeFilesTakeTurns(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		b.set(func() { b.turn, b.room = mib, 10*mib })
		large := a.writes(1, 0, 1, 8*mib)
		a.Use(large, large, large)
		w.later(30 * time.Second)
		small := a.writes(2, 1, 1, mib/2)
		a.Use(small)
		w.later(30 * time.Second)
		if got := b.brought(); got[small] != mib/2 || got[large] == 0 || got[large] > 5*mib {
			t.Errorf("after a while: %v", got)
		}
		w.later(10 * time.Minute)
		if got := b.brought(); got[large] != 8*mib {
			t.Errorf("brought %d bytes of the large one", got[large])
		}
		w.net.Partition(a.id, b.id)
		hot, cool := a.writes(3, 2, 1, mib/2), a.writes(4, 3, 1, mib/4)
		a.Use(hot, hot, hot, cool)
		w.net.Heal(a.id, b.id)
		w.later(time.Minute)
		if n := len(b.order); b.order[n-2] != cool || b.order[n-1] != hot {
			t.Error("the larger one came first")
		}
	})
}

// Who has no keys of the share learns nothing, and can say nothing; who lies about its name neither.
func TestSetsAreSealed(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		blind := w.add()
		got := make(chan []byte, 8)
		blind.host.Handle(Protocol, func(_ ident.DeviceID, s wire.Stream) {
			if f, err := wire.ReadFrame(s, setFrame); err == nil {
				got <- f
			}
		})
		doc := a.writes(1, 0, 1, mib)
		a.Use(doc)
		w.later(10 * time.Second)
		frame := <-got
		for i := range len(frame) - 16 {
			if namespace.NodeID(frame[i:i+16]) == doc {
				t.Fatal("a file is named in clear")
			}
		}
		b.set(func() { clear(b.came); clear(b.here) })
		other := a.writes(2, 0, 1, mib)
		lie := set{other: 20}.encode()
		for _, sealed := range [][]byte{
			lie,
			seal.New(ident.ShareID{1}, 1, [32]byte{8}).SealRecord(header(blind.id), lie), // another key
			a.sealer.SealRecord(header(a.id), lie),                                       // another device's words
		} {
			if err := blind.say(context.Background(), b.id, sealed); err != nil {
				t.Fatal(err)
			}
		}
		w.later(time.Minute)
		b.wants("lies")
	})
}

// It is told when there is news, and not more often than every so often.
func TestTellsSeldom(t *testing.T) {
	play(t, func(w *world, a, b *dev) {
		heard := 0
		b.host.Handle(Protocol, func(dev ident.DeviceID, s wire.Stream) {
			b.set(func() { heard++ })
			b.hear(dev, s)
		})
		w.later(time.Hour)
		if heard != 0 {
			t.Errorf("nothing was used, and it was told %d times", heard)
		}
		for i := range 60 {
			a.Use(a.writes(i+1, 0, 1, 1))
			w.later(time.Second)
		}
		w.later(time.Minute)
		if heard < 3 || heard > 6 {
			t.Errorf("told %d times in two minutes", heard)
		}
		before := heard
		w.later(30 * time.Minute)
		if heard != before {
			t.Errorf("told %d times more, and nothing was new", heard-before)
		}
	})
}
