package fstest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/namespace"
)

var (
	powerRounds = flag.Int("power.rounds", 25, "how often TestPower cuts the power amid a random history")
	powerSeed   = flag.Uint64("power.seed", uint64(time.Now().UnixNano()), "of TestPower")
)

// TestPower cuts the power of a device at every sync of a short history, and at random ones of
// random histories. What was promised is there afterwards; of the rest a file has a state that it
// once had, whole, and no older one than was promised. See DURABILITY.md.
func TestPower(t *testing.T) {
	t.Logf("-power.seed %d", *powerSeed)
	t.Run("EverySync", cutAtEverySync)
	t.Run("Histories", cutAtRandom)
}

// cutAtEverySync does each act in each way. Before each sync that comes of it, the power is cut
// three times: nothing is left of what was not synced, a part, everything.
func cutAtEverySync(t *testing.T) {
	disk, w := newDisk(), newWriter("writer", rand.New(rand.NewPCG(*powerSeed, 1)), 100<<10)
	dice, began, cuts := rand.New(rand.NewPCG(*powerSeed, 2)), time.Now(), 0
	var mu sync.Mutex
	cut := func() {
		mu.Lock()
		defer mu.Unlock()
		for _, percent := range []int{0, 50, 100} {
			if t.Failed() {
				return
			}
			w.mu.Lock()
			after := disk.cut(percent, dice)
			left := w.clone(dice)
			w.mu.Unlock()
			if err := goOn(after, left, percent == 50, dice); err != nil {
				t.Errorf("cut %d, %d%% of what was not synced: %v", cuts, percent, err)
			}
			cuts++
		}
	}
	disk.beforeSync = cut
	d, err := startOn(disk, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range acts {
		for how := range ways {
			if err := act(w, fmt.Sprint("f", how), how); err != nil {
				t.Errorf("act %d: %v", w.acts, err)
			}
		}
	}
	cut()
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%d cuts, %v", cuts, time.Since(began))
}

// goOn starts the device again after a cut and looks what is there; with more it works a little, and
// sees that this is there after another cut.
func goOn(disk *disk, w *writer, more bool, dice *rand.Rand) error {
	d, err := startOn(disk, w)
	if err != nil {
		return err
	}
	if !more {
		return d.stop()
	}
	w.work(2)
	err = w.save("last", syncing)
	disk = disk.cut(0, dice)
	if err := errors.Join(err, d.stop()); err != nil {
		return err
	}
	if d, err = startOn(disk, w); err != nil {
		return err
	}
	return d.stop()
}

// startOn starts the device on a disk and looks what is there.
func startOn(disk *disk, writers ...*writer) (*device, error) {
	d, err := start("", setup{n: 1, disk: disk})
	if err != nil {
		return nil, err
	}
	for _, w := range writers {
		w.sys = Core(d.fs, self(), "")
		err = errors.Join(err, w.check())
	}
	err = errors.Join(err, d.fs.Sync(context.Background()), d.sound()) // what was promised is saved
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// sound tells what is wrong with a device that was just started and has saved all.
func (d *device) sound() error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		writing := 0
		for range d.store.Owners(cache.Writing) {
			writing++
		}
		if writing == 0 {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("what was being written of %d files is not settled", writing)
		}
	}
	if rows, damaged := d.db.Metrics().CorruptRows, d.store.Stats().Corrupt; rows > 0 || damaged > 0 {
		return fmt.Errorf("%d rows and %d blocks are damaged", rows, damaged)
	}
	return errors.Join(d.names.Check(), d.kept(namespace.Root))
}

// kept reports blocks of files below a directory that the store may drop.
func (d *device) kept(dir namespace.NodeID) error {
	entries, err := d.names.List(dir, 0, 1000)
	for _, e := range entries {
		if e.Kind == namespace.Dir {
			err = errors.Join(err, d.kept(e.ID))
			continue
		}
		for digest, e := range content.Digests(bg, d.blocks, d.sealer, e.Content) {
			class, e2 := d.store.Class(digest)
			if e2 == nil && e == nil && class != cache.Staged {
				e = fmt.Errorf("block %s is %v", digest.Short(), class)
			}
			err = errors.Join(err, e, e2)
		}
	}
	return err
}

// cutAtRandom plays random histories of some rounds each: the blocks of all that was ever written are
// kept, and a disk is memory.
func cutAtRandom(t *testing.T) {
	dice, began := rand.New(rand.NewPCG(*powerSeed, 3)), time.Now()
	var h history
	for h.rounds < *powerRounds && !t.Failed() {
		h.play(t, dice, min(10, *powerRounds-h.rounds))
	}
	t.Logf("%d rounds, %d of them kills, %d changes, %v", h.rounds, h.kills, h.acts, time.Since(began))
}

type history struct{ rounds, kills, acts int }

// play lets programs work side by side until the power is cut, or the process is killed, and goes on
// from there.
func (h *history) play(t *testing.T, dice *rand.Rand, rounds int) {
	disk, writers := newDisk(), make([]*writer, 3)
	for i := range writers {
		writers[i] = newWriter(fmt.Sprint("writer", i), rand.New(rand.NewPCG(*powerSeed, dice.Uint64())), 200<<10)
	}
	for range rounds {
		end := &ending{kill: dice.IntN(4) == 0, writers: writers, dice: dice}
		syncs := 1 + dice.Int64N(80)
		if !end.kill { // perhaps while the device starts
			end.after.Store(syncs)
		}
		disk.beforeSync = func() { end.sync(disk) }
		d, err := startOn(disk, writers...)
		if err != nil {
			t.Fatalf("round %d: %v", h.rounds, err)
		}
		if end.kill {
			end.after.Store(syncs)
			h.kills++
		}
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() { w.work(12) })
		}
		wg.Wait()
		end.now(disk)
		if err := d.stop(); err != nil && !end.kill {
			t.Errorf("round %d: %v", h.rounds, err)
		}
		disk, writers = end.disk, end.writers
		h.rounds++
	}
	d, err := startOn(disk, writers...)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	for _, w := range writers {
		h.acts += w.acts
	}
}

// ending is how a round ends: with a cut, or the kill of the process.
type ending struct {
	kill  bool
	dice  *rand.Rand
	after atomic.Int64 // syncs

	once    sync.Once
	disk    *disk     // afterwards
	writers []*writer // as they were then
}

func (e *ending) sync(disk *disk) {
	if e.after.Add(-1) == 0 {
		e.now(disk)
	}
}

// now ends the round, unless that has happened.
func (e *ending) now(disk *disk) {
	e.once.Do(func() {
		if e.kill { // the writers hear of it
			e.disk = disk.kill()
			return
		}
		percent := []int{0, 100, e.dice.IntN(101)}[e.dice.IntN(3)]
		for _, w := range e.writers {
			w.mu.Lock()
			defer w.mu.Unlock()
		}
		e.disk = disk.cut(percent, e.dice)
		left := make([]*writer, len(e.writers))
		for i, w := range e.writers {
			left[i] = w.clone(w.rnd)
		}
		e.writers = left
	})
}
