package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"sync"
	"testing"
)

// writer is a program at work in a folder of its own, which remembers what it was promised: that
// what it synced is there, after whatever happened, and of the rest a state that it once had.
type writer struct {
	sys  Sys
	root string // only the writer's folder is in it
	rnd  *rand.Rand
	most int // bytes written at once

	// The kernel copies by itself what Shelf leaves to it: a range comes piece by piece.
	pieces bool

	mu    sync.Mutex // guards the states of all that follows
	place *written   // the name of its folder
	mark  *written   // an attribute of that
	files map[string]*written
	acts  int
}

func newWriter(name string, rnd *rand.Rand, most int) *writer {
	return &writer{root: "/" + name, rnd: rnd, most: most, place: untouched(), mark: untouched(), files: map[string]*written{}}
}

// clone is the writer as it is now, with other dice. w.mu is held.
func (w *writer) clone(rnd *rand.Rand) *writer {
	c := &writer{root: w.root, rnd: rnd, most: w.most, pieces: w.pieces, acts: w.acts,
		place: w.place.clone(), mark: w.mark.clone(), files: map[string]*written{}}
	for name, f := range w.files {
		c.files[name] = f.clone()
	}
	return c
}

// how a program makes sure of what it writes.
type how int

const (
	closing how = iota // not at all
	syncing            // by fsync, or by that of the folder
	through            // by O_SYNC, where there is such a thing
	ways
)

var acts = []func(w *writer, name string, how how) error{
	(*writer).save, (*writer).add, (*writer).patch, (*writer).resize, (*writer).punch, (*writer).sync, (*writer).remove, (*writer).move, (*writer).tag,
	(*writer).copy,
}

// work does this and that until something fails, or often is over.
func (w *writer) work(often int) {
	for range often {
		act := acts[w.rnd.IntN(len(acts))]
		if act(w, fmt.Sprint("f", w.rnd.IntN(6)), how(w.rnd.IntN(int(ways)))) != nil {
			return
		}
	}
}

// note changes what is remembered.
func (w *writer) note(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// synced notes that f is durable, and with it all names; f may be nil.
func (w *writer) synced(f *written) {
	w.note(func() {
		if f != nil {
			f.promise()
		}
		w.place.promiseNames()
		w.mark.promiseNames()
		for _, f := range w.files {
			f.promiseNames()
		}
	})
}

// begin makes the folder, once, and what is known of a file in it.
func (w *writer) begin(name string) (p string, f *written, err error) {
	w.acts++
	if w.place.now() == nil {
		w.note(func() { w.place.names([]byte("0")) })
		for _, dir := range []string{w.root, w.in("")} {
			if err := w.sys.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return "", nil, err
			}
		}
	}
	w.note(func() {
		if w.files[name] == nil {
			w.files[name] = untouched()
		}
	})
	return w.in(name), w.files[name], nil
}

// in is the path of a file in the folder.
func (w *writer) in(name string) string { return path.Join(w.root, string(w.place.now()), name) }

// bytes are new contents, of one block or of several, or such as were written before: the store may
// still have them.
func (w *writer) bytes() []byte {
	switch w.rnd.IntN(4) {
	case 0:
		return random(w.rnd.Int64(), w.rnd.IntN(w.most))
	case 1:
		again := w.rnd.IntN(4)
		return random(int64(again), w.most/(again+1))
	}
	return random(w.rnd.Int64(), 1+w.rnd.IntN(5000))
}

// save is what editors do: a new file, mostly synced, takes the place of the old one. If there is
// one, its bytes are durable before it is replaced in any case.
func (w *writer) save(name string, how how) error {
	p, f, err := w.begin(name)
	if err != nil {
		return err
	}
	_, tmp, _ := w.begin(name + ".tmp")
	b := w.bytes()
	if err := w.change(p+".tmp", tmp, os.O_TRUNC, b, how, func(file File) error { return writeAll(file, b, 0) }); err != nil {
		return err
	}
	w.note(func() { f.becomes(tmp, how != closing || f.now() != nil) })
	if err := w.sys.Rename(p+".tmp", p, Replace); err != nil || w.rnd.IntN(2) == 0 {
		return err
	}
	return w.syncNames()
}

// syncNames makes names durable, not the bytes of files.
func (w *writer) syncNames() error {
	if err := w.sys.SyncDir(w.in("")); err != nil {
		return err
	}
	w.synced(nil)
	return nil
}

// add appends.
func (w *writer) add(name string, how how) error {
	p, f, err := w.begin(name)
	if err != nil {
		return err
	}
	b := w.bytes()
	return w.change(p, f, os.O_APPEND, append(bytes.Clone(f.now()), b...), how, func(file File) error {
		for left := b; len(left) > 0; {
			n, err := file.Append(left)
			if err != nil {
				return err
			}
			left = left[n:]
		}
		return nil
	})
}

// patch overwrites a part.
func (w *writer) patch(name string, how how) error {
	p, f, err := w.begin(name)
	if err != nil || len(f.now()) == 0 {
		return err
	}
	b, off := w.bytes(), w.rnd.IntN(len(f.now()))
	after := bytes.Clone(f.now())
	if need := off + len(b); need > len(after) {
		after = append(after, make([]byte, need-len(after))...)
	}
	copy(after[off:], b)
	return w.change(p, f, 0, after, how, func(file File) error { return writeAll(file, b, int64(off)) })
}

// resize cuts a file, or makes it longer by zeros.
func (w *writer) resize(name string, how how) error {
	p, f, err := w.begin(name)
	if err != nil || f.now() == nil {
		return err
	}
	n := w.rnd.IntN(2*len(f.now()) + 1)
	after := append(bytes.Clone(f.now()), make([]byte, n)...)[:n]
	if how == closing {
		w.note(func() { f.does(after) })
		return w.sys.Truncate(p, int64(n))
	}
	return w.change(p, f, 0, after, syncing, func(file File) error { return file.Truncate(int64(n)) })
}

// punch makes a hole.
func (w *writer) punch(name string, how how) error {
	p, f, err := w.begin(name)
	if err != nil || len(f.now()) == 0 {
		return err
	}
	if how == through { // O_SYNC is about writes
		how = syncing
	}
	off := w.rnd.IntN(len(f.now()))
	after := bytes.Clone(f.now())
	clear(after[off:])
	return w.change(p, f, 0, after, how, func(file File) error {
		return file.Allocate(PunchHole|KeepSize, int64(off), int64(len(after)-off))
	})
}

// copy lays all of another file, or a part of it, over this one.
func (w *writer) copy(name string, how how) error {
	p, f, err := w.begin(name)
	if err != nil {
		return err
	}
	q, g, err := w.begin(fmt.Sprint("f", w.rnd.IntN(6)))
	if err != nil || f == g || len(g.now()) == 0 {
		return err
	}
	off, from, n := 0, 0, len(g.now())
	if w.rnd.IntN(2) == 0 {
		off, from = w.rnd.IntN(len(f.now())+1), w.rnd.IntN(n)
		n = 1 + w.rnd.IntN(n-from)
	}
	after := bytes.Clone(f.now())
	after = append(after, make([]byte, max(0, off+n-len(after)))...)
	copy(after[off:], g.now()[from:from+n])
	src, err := w.sys.Open(q, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	return w.changeBy(p, f, 0, how, func(file File) error { return copyAll(file, int64(off), src, int64(from), int64(n)) }, func() {
		if w.pieces {
			f.lays(after, off, n)
		} else {
			f.does(after)
		}
	})
}

func writeAll(file File, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := file.Pwrite(b, off)
		if err != nil {
			return err
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// change opens f, makes it if need be, and lets write do what leads to after.
func (w *writer) change(p string, f *written, flag int, after []byte, how how, write func(File) error) error {
	return w.changeBy(p, f, flag, how, write, func() { f.does(after) })
}

// changeBy is change for what does says.
func (w *writer) changeBy(p string, f *written, flag int, how how, write func(File) error, does func()) error {
	if how == through {
		flag |= os.O_SYNC
	}
	w.note(func() {
		if f.now() == nil {
			f.names([]byte{})
		} else if flag&os.O_TRUNC != 0 {
			f.does([]byte{})
		}
	})
	file, err := w.sys.Open(p, os.O_CREATE|os.O_WRONLY|flag, 0o644)
	if err != nil {
		return err
	}
	w.note(does)
	err = write(file)
	if err == nil && how == syncing {
		err = file.Sync()
	}
	if err == nil && how != closing {
		w.synced(f)
	}
	return errors.Join(err, file.Close())
}

// sync makes what is there durable.
func (w *writer) sync(name string, _ how) error {
	p, f, err := w.begin(name)
	if err != nil || f.now() == nil {
		return err
	}
	file, err := w.sys.Open(p, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err = file.Sync(); err == nil {
		w.synced(f)
	}
	return errors.Join(err, file.Close())
}

func (w *writer) remove(name string, how how) error {
	p, f, err := w.begin(name)
	if err != nil || f.now() == nil || w.rnd.IntN(3) > 0 {
		return err
	}
	w.note(func() { f.names(nil) })
	if err := w.sys.Unlink(p); err != nil || how == closing {
		return err
	}
	return w.syncNames()
}

// move renames the folder with all that is in it.
func (w *writer) move(name string, how how) error {
	if _, _, err := w.begin(name); err != nil {
		return err
	}
	from := w.in("")
	w.note(func() { w.place.names(fmt.Append(nil, w.rnd.IntN(1000000))) })
	if err := w.sys.Rename(from, w.in(""), NoReplace); err != nil || how == closing {
		return err
	}
	return w.syncNames()
}

const markAttr = "user.mark"

// tag changes an attribute of the folder.
func (w *writer) tag(name string, how how) error {
	if _, _, err := w.begin(name); err != nil {
		return err
	}
	b := random(w.rnd.Int64(), 8)
	w.note(func() { w.mark.names(b) })
	if err := w.sys.Setxattr(w.in(""), markAttr, b, 0); err != nil || how == closing {
		return err
	}
	return w.syncNames()
}

// check compares all that is there with what was done, and goes on from it.
func (w *writer) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	folders, err := w.list(w.root)
	if err != nil || len(folders) > 1 {
		return fmt.Errorf("%s: %q, %w", w.root, folders, err)
	}
	var place []byte
	if len(folders) > 0 {
		place = []byte(folders[0])
	}
	if err := w.place.check(place); err != nil {
		return fmt.Errorf("%s: %w", w.root, err)
	}
	mark, _ := w.sys.Getxattr(w.in(""), markAttr)
	if len(mark) == 0 {
		mark = nil
	}
	if err := w.mark.check(mark); err != nil {
		return fmt.Errorf("attribute of %s: %w", w.in(""), err)
	}
	names, err := w.list(w.in(""))
	if place == nil {
		names = nil
	}
	for _, name := range names {
		if w.files[name] == nil {
			err = errors.Join(err, fmt.Errorf("%s was never made", w.in(name)))
		}
	}
	for name, f := range w.files {
		var got []byte
		if slices.Contains(names, name) {
			b, e := contents(w.sys, w.in(name))
			if e != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", w.in(name), e))
			}
			got = b
		}
		if e := f.check(got); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", w.in(name), e))
		}
	}
	return err
}

// list is ReadDir; of what is not there, nothing.
func (w *writer) list(dir string) ([]string, error) {
	names, err := w.sys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// contents reads a file whole.
func contents(sys Sys, p string) ([]byte, error) {
	f, err := sys.Open(p, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, st.Size)
	for at := 0; at < len(b); {
		n, err := f.Pread(b[at:], int64(at))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("it ends at %d of %d", at, len(b))
		}
		at += n
	}
	return b, nil
}

// checkAll checks what each writer finds on sys, and lets it go on there.
func checkAll(t *testing.T, round int, sys Sys, writers []*writer) {
	t.Helper()
	for _, w := range writers {
		w.sys = sys
		if err := w.check(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
