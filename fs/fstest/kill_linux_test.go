package fstest

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	killRounds = flag.Int("kill.rounds", 6, "how often TestKill kills the process that serves the mount")
	killSeed   = flag.Uint64("kill.seed", uint64(time.Now().UnixNano()), "of TestKill")
)

// TestKill kills the process that serves a mount while programs work there, again and again. What
// fsync, fdatasync, O_SYNC and the sync of a directory promised is there afterwards; of the rest a
// file has a state that it once had, whole, and no older one than was promised.
func TestKill(t *testing.T) {
	t.Logf("-kill.seed %d", *killSeed)
	dir := t.TempDir()
	var writers []*writer
	for i := range 4 {
		w := &writer{name: fmt.Sprint("writer", i), rnd: rand.New(rand.NewPCG(*killSeed, uint64(i))), files: map[string]*written{}}
		writers = append(writers, w)
	}
	dice := rand.New(rand.NewPCG(*killSeed, 1000))
	acts := 0
	for round := range *killRounds {
		c := mountedAt(t, dir)
		for _, w := range writers {
			w.check(t, round, c.mnt)
		}
		if t.Failed() {
			return
		}
		var wg sync.WaitGroup
		for _, w := range writers {
			w.root = filepath.Join(c.mnt, w.name)
			wg.Go(w.work)
		}
		time.Sleep(time.Duration(20+dice.IntN(400)) * time.Millisecond)
		c.kill()
		wg.Wait()
		for _, w := range writers {
			acts += w.acts
			w.acts = 0
		}
	}
	c := mountedAt(t, dir)
	for _, w := range writers {
		w.check(t, *killRounds, c.mnt)
	}
	t.Logf("%d rounds, %d changes", *killRounds, acts)
	if acts < 10**killRounds {
		t.Errorf("only %d changes in %d rounds", acts, *killRounds)
	}
}

// written is what was done to a file: the states that it had or may have, oldest first, nil: it is
// not there. Of those before promised none may show.
type written struct {
	states   [][]byte
	promised int
}

func (f *written) now() []byte { return f.states[len(f.states)-1] }

// does adds a state that a change leads to, if it happens.
func (f *written) does(state []byte) { f.states = append(f.states, state) }

// promise says that the present state is durable.
func (f *written) promise() { f.promised = len(f.states) - 1 }

// writer is a program at work in a folder of its own, until something fails.
type writer struct {
	name, root string
	rnd        *rand.Rand
	files      map[string]*written
	acts       int
}

func (w *writer) work() {
	if err := os.MkdirAll(w.root, 0o755); err != nil {
		return
	}
	for {
		name := fmt.Sprint("f", w.rnd.IntN(6))
		f := w.files[name]
		if f == nil {
			f = &written{states: [][]byte{nil}}
			w.files[name] = f
		}
		act := []func(string, *written) error{w.save, w.save, w.add, w.patch, w.sync, w.remove}[w.rnd.IntN(6)]
		if act(filepath.Join(w.root, name), f) != nil {
			return
		}
		w.acts++
	}
}

// bytes are new contents, of one block or of several.
func (w *writer) bytes() []byte {
	n := 1 + w.rnd.IntN(5000)
	if w.rnd.IntN(4) == 0 {
		n = w.rnd.IntN(1 << 20)
	}
	return random(w.rnd.Int64(), n)
}

// save is what editors do: a new file, synced, takes the place of the old one.
func (w *writer) save(path string, f *written) error {
	b := w.bytes()
	tmp, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer tmp.Close()
	if _, err := tmp.Write(b); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	f.does(b)
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	if w.rnd.IntN(2) == 0 {
		return w.syncDir(f)
	}
	return nil
}

// syncDir makes names durable: of all files, but only this one has its bytes durable, too.
func (w *writer) syncDir(f *written) error {
	d, err := os.Open(w.root)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return err
	}
	f.promise()
	return nil
}

// add appends, and mostly syncs.
func (w *writer) add(path string, f *written) error {
	b := w.bytes()
	return w.change(path, os.O_APPEND, f, append(bytes.Clone(f.now()), b...), func(file *os.File) error {
		_, err := file.Write(b)
		return err
	})
}

// patch overwrites a part.
func (w *writer) patch(path string, f *written) error {
	if len(f.now()) == 0 {
		return w.add(path, f)
	}
	b := w.bytes()
	off := w.rnd.IntN(len(f.now()))
	after := bytes.Clone(f.now())
	if need := off + len(b); need > len(after) {
		after = append(after, make([]byte, need-len(after))...)
	}
	copy(after[off:], b)
	return w.change(path, 0, f, after, func(file *os.File) error {
		_, err := file.WriteAt(b, int64(off))
		return err
	})
}

// change writes in one call and syncs in one of several ways, or not at all.
func (w *writer) change(path string, flag int, f *written, after []byte, write func(*os.File) error) error {
	how := w.rnd.IntN(3)
	if how == 2 {
		flag |= os.O_SYNC
	}
	if f.now() == nil {
		f.does([]byte{})
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flag, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	f.does(after)
	if err := write(file); err != nil {
		return err
	}
	if how == 1 {
		if err := file.Sync(); err != nil {
			return err
		}
	}
	if how > 0 {
		f.promise()
	}
	return nil
}

// sync makes what is there durable.
func (w *writer) sync(path string, f *written) error {
	if f.now() == nil {
		return nil
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Sync(); err != nil {
		return err
	}
	f.promise()
	return nil
}

func (w *writer) remove(path string, f *written) error {
	if f.now() == nil || w.rnd.IntN(3) > 0 {
		return nil
	}
	f.does(nil)
	if err := os.Remove(path); err != nil {
		return err
	}
	return w.syncDir(f)
}

// check compares every file with what was done to it, and goes on from what is there.
func (w *writer) check(t *testing.T, round int, mnt string) {
	t.Helper()
	for name, f := range w.files {
		got, err := os.ReadFile(filepath.Join(mnt, w.name, name))
		if os.IsNotExist(err) {
			got, err = nil, nil
		} else if got == nil {
			got = []byte{}
		}
		if err != nil {
			t.Errorf("round %d: %s/%s: %v", round, w.name, name, err)
			continue
		}
		at := -1
		for i, s := range f.states {
			if (s == nil) == (got == nil) && bytes.Equal(s, got) {
				at = i
			}
		}
		if at < f.promised {
			t.Errorf("round %d: %s/%s has %d bytes (%x), which it had in state %d; %d of %d was promised: %d bytes (%x)", round, w.name, name,
				len(got), sum(got), at, f.promised, len(f.states)-1, len(f.states[f.promised]), sum(f.states[f.promised]))
		}
		f.states, f.promised = [][]byte{got}, 0
	}
}

func sum(b []byte) uint32 {
	h := fnv.New32()
	_, _ = h.Write(b)
	return h.Sum32()
}
