package fstest

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/namespace"
)

// wished are blocks of which it is noted what was wished for in advance.
type wished struct {
	*localBlocks
	mu  sync.Mutex
	all map[blocks.Digest]bool
}

func (w *wished) Ahead(ds ...blocks.Digest) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range ds {
		w.all[d] = true
	}
	return func() {}
}

// walking is a device before directories of another one, with the beginnings of their files.
type walking struct {
	*device
	w     *wished
	roots [][]blocks.Digest
}

func walker(t *testing.T, dirs, files int) *walking {
	t.Helper()
	w := &walking{w: &wished{all: map[blocks.Digest]bool{}}}
	a := newDevice(t, setup{n: 1})
	w.device = newDevice(t, setup{n: 2, wrap: func(c *fs.Config) {
		w.w.localBlocks = c.Blocks.(*localBlocks)
		c.Blocks, c.Hints = w.w, nil
	}})
	join(w.device, a)
	sys := Core(a.fs, fs.Caller{}, "")
	for i := range dirs {
		if err := sys.Mkdir(fmt.Sprintf("%02d", i), 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range files {
			f, err := sys.Open(name(i, j), os.O_CREATE|os.O_WRONLY, 0o644)
			if err == nil {
				_, err = f.Pwrite(fmt.Append(nil, "what is in ", i, j), 0)
			}
			if err == nil {
				err = f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.fs.Sync(bg); err != nil {
		t.Fatal(err)
	}
	if err := w.pull(a); err != nil {
		t.Fatal(err)
	}
	for i := range dirs {
		var of []blocks.Digest
		dir, err := w.names.Lookup(namespace.Root, fmt.Sprintf("%02d", i))
		for j := range files {
			var e namespace.Entry
			if err == nil {
				e, err = w.names.Lookup(dir.ID, fmt.Sprintf("%03d", j))
			}
			if err != nil {
				t.Fatal(err)
			}
			of = append(of, e.Content.Root)
		}
		w.roots = append(w.roots, of)
	}
	return w
}

// apart lists directories of which none lies shortly behind the one before, neither by name nor as they are listed.
func (w *walking) apart(t *testing.T) (dirs []int) {
	t.Helper()
	all, err := w.names.List(namespace.Root, 0, len(w.roots)+1)
	if err != nil || len(all) != len(w.roots) {
		t.Fatal(len(all), err)
	}
	listed := map[string]int{}
	for i, e := range all {
		listed[e.Name] = i
	}
	far := func(from, to int) bool { return to <= from || to > from+8 }
	for dir := len(w.roots) - 1; dir >= 0; dir-- {
		name := fmt.Sprintf("%02d", dir)
		if len(dirs) == 0 || far(dirs[len(dirs)-1], dir) && far(listed[fmt.Sprintf("%02d", dirs[len(dirs)-1])], listed[name]) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func name(dir, file int) string { return fmt.Sprintf("%02d/%03d", dir, file) }

func (w *walking) read(t *testing.T, dir, file int) {
	t.Helper()
	if n, err := w.handleOf(t, name(dir, file), fs.OpenFlags{Read: true}).Read(bg, 0, make([]byte, 1000)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
}

// asked tells how many of a directory's files were wished for.
func (w *walking) asked(dir int) (n int) {
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	for _, d := range w.roots[dir] {
		if w.w.all[d] {
			n++
		}
	}
	return n
}

// waitFor waits until so many of a directory's files were wished for, what is done beside readers.
func (w *walking) waitFor(t *testing.T, dir, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); w.asked(dir) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("of directory %d only %d files were asked for, not %d", dir, w.asked(dir), n)
		}
	}
}

// keepsUp waits, after a file was read, until those ahead of it are asked for: some are read before the directory is
// listed, and what is asked for beside a reader who waits for nothing may come after him.
func (w *walking) keepsUp(t *testing.T, dir, file int) {
	t.Helper()
	if file%16 == 0 {
		w.waitFor(t, dir, file/4)
	}
}

// Who went through two directories one after the other finds the beginning of the next one asked for, before he
// reads in it; and is followed there from his first file on.
func TestFromDirectoryToDirectory(t *testing.T) {
	const files = 200
	w := walker(t, 5, files)
	for dir := range w.roots {
		if dir >= 2 {
			w.waitFor(t, dir, files/2)
		}
		for file := range w.roots[dir] {
			w.read(t, dir, file)
			w.keepsUp(t, dir, file)
		}
		if dir == 0 && w.asked(1) > 0 {
			t.Error("after one directory, the next is asked for")
		}
	}
}

// Who goes through directories that are not next to each other is followed from the first file on in each, and no other is
// asked for.
func TestFromDirectoryToSomeOther(t *testing.T) {
	const files = 80
	w := walker(t, 8, files)
	dirs := w.apart(t)
	for n, dir := range dirs {
		w.read(t, dir, 0)
		if n > 0 {
			w.waitFor(t, dir, 16)
		}
		for file := 1; file < files; file++ {
			w.read(t, dir, file)
			w.keepsUp(t, dir, file)
		}
	}
	for dir := range w.roots {
		if n := w.asked(dir); n > 0 && !slices.Contains(dirs, dir) {
			t.Errorf("directory %d: %d files were asked for", dir, n)
		}
	}
}
