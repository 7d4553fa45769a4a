package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRandomThreads has threads at work in one tree. Each has files of its own, which must always be as
// it left them, whatever the others do beside them; all write records into shared files, append to a log,
// and make, move and remove shared names and the directories themselves. On the local filesystem the same
// must hold: that checks the test.
func TestRandomThreads(t *testing.T) {
	t.Logf("-random.seed %d", *randomSeed)
	t.Run("local", func(t *testing.T) { runThreads(t, t.TempDir(), *randomSeed) })
	t.Run("mount", func(t *testing.T) {
		c := mounted(t)
		for i := range *randomRounds {
			dir := filepath.Join(c.mnt, fmt.Sprint("round", i))
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			runThreads(t, dir, *randomSeed+uint64(i))
		}
		before, err := newSide(c.mnt).tree()
		if err != nil {
			t.Fatal(err)
		}
		c.quit()
		c = mountedAt(t, c.dir)
		after, err := newSide(c.mnt).tree()
		if err != nil || !slices.Equal(before, after) {
			t.Errorf("mounted anew: %v\n%q\nbefore\n%q", err, after, before)
		}
	})
}

const threadDirs = 4

// arena is what threads share.
type arena struct {
	root string
	dirs [threadDirs]*os.File // held open: the directories move
	log  *os.File
}

// at is a name in a directory, wherever that is now.
func (a *arena) at(dir int, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", a.dirs[dir].Fd(), name)
}

// thread is one that works in the arena.
type thread struct {
	*arena
	id   int
	r    *rand.Rand
	own  []*ownFile
	seq  uint32 // of its records
	logs uint32 // of its records in the log
}

func runThreads(t *testing.T, root string, seed uint64) {
	t.Helper()
	a := &arena{root: root}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	for i := range a.dirs {
		name := filepath.Join(root, fmt.Sprint("dir", i))
		ok(os.Mkdir(name, 0o755))
		a.dirs[i], err = os.Open(name)
		ok(err)
		defer a.dirs[i].Close()
	}
	a.log, err = os.OpenFile(filepath.Join(root, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	ok(err)
	defer a.log.Close()
	var wg sync.WaitGroup
	var threads []*thread
	for id := range 4 {
		th := &thread{arena: a, id: id, r: rand.New(rand.NewPCG(seed, uint64(id)))}
		for i := range 3 {
			th.own = append(th.own, &ownFile{name: fmt.Sprintf("own%d-%d", id, i)})
		}
		threads = append(threads, th)
		wg.Go(func() {
			for n := range *randomOps / 2 {
				if err := th.act(); err != nil {
					t.Errorf("seed %d, thread %d, act %d: %v", seed, id, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, th := range threads {
		for _, f := range th.own {
			if err := th.verify(f); err != nil {
				t.Errorf("seed %d, in the end: %v", seed, err)
			}
		}
	}
	if err := a.checkLog(threads); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if err := checkTree(root); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
}

func (th *thread) act() error {
	switch n := th.r.IntN(20); {
	case n < 10:
		return th.useOwn(th.own[th.r.IntN(len(th.own))])
	case n < 14:
		return th.useShared()
	case n < 16:
		th.logs++
		_, err := th.log.Write(newRecord(uint32(th.id), th.logs, 0))
		return err
	case n < 17:
		return th.moveDir()
	default:
		return th.useName()
	}
}

// useName does something to a name that all know. Somebody may have come before.
func (th *thread) useName() error {
	some := func() string { return th.at(th.r.IntN(threadDirs), fmt.Sprint("name", th.r.IntN(5))) }
	var err error
	switch th.r.IntN(9) {
	case 0:
		err = os.WriteFile(some(), newRecord(uint32(th.id), 0, 0), 0o644)
	case 1:
		err = unix.Unlink(some())
	case 2:
		err = unix.Link(some(), some())
	case 3:
		err = unix.Symlink("nowhere", some())
	case 4:
		err = unix.Mkdir(some(), 0o755)
	case 5:
		err = unix.Rmdir(some())
	case 6, 7:
		err = unix.Renameat2(unix.AT_FDCWD, some(), unix.AT_FDCWD, some(), uint(th.r.IntN(3)))
	case 8:
		_, err = os.ReadDir(th.at(th.r.IntN(threadDirs), "."))
	}
	for _, usual := range []error{unix.ENOENT, unix.EEXIST, unix.ENOTDIR, unix.EISDIR, unix.ENOTEMPTY, unix.EPERM} {
		if errors.Is(err, usual) {
			return nil
		}
	}
	return err
}

// moveDir lets two directories change places, or one go into another and back out; it must not take the place of an
// empty one there, in which others are at work.
func (th *thread) moveDir() error {
	x, y := filepath.Join(th.root, fmt.Sprint("dir", th.r.IntN(threadDirs))), filepath.Join(th.root, fmt.Sprint("dir", th.r.IntN(threadDirs)))
	err := unix.Renameat2(unix.AT_FDCWD, x, unix.AT_FDCWD, y, unix.RENAME_EXCHANGE)
	if err == nil && th.r.IntN(2) == 0 {
		if err = unix.Renameat2(unix.AT_FDCWD, x, unix.AT_FDCWD, y+"/inside", unix.RENAME_NOREPLACE); err == nil {
			err = unix.Rename(y+"/inside", x)
		}
	}
	for _, usual := range []error{unix.ENOENT, unix.EINVAL, unix.ENOTEMPTY, unix.EEXIST} {
		if errors.Is(err, usual) {
			return nil
		}
	}
	return err
}

// useShared reads or writes records. Copying between a page and a program is atomic nowhere: what does not
// parse is read again.
func (th *thread) useShared() error {
	f, err := os.OpenFile(filepath.Join(th.root, fmt.Sprint("shared", th.r.IntN(2))), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	place, n := uint32(th.r.IntN(600)), 1+th.r.IntN(20)
	off := int64(place) * recordSize
	switch th.r.IntN(10) {
	case 0:
		return f.Truncate(off)
	case 1:
		return again(func() error { return unix.Fallocate(int(f.Fd()), PunchHole|KeepSize, off, int64(n*recordSize)) })
	case 2:
		return f.Sync()
	case 3, 4, 5:
		var b []byte
		for i := range n {
			th.seq++
			b = append(b, newRecord(uint32(th.id), th.seq, place+uint32(i))...)
		}
		_, err := f.WriteAt(b, off)
		return err
	}
	for range 100 {
		b := make([]byte, n*recordSize)
		got, rerr := f.ReadAt(b, off)
		if err = parseAll(b[:got], place); err == nil {
			return ignoreEnd(rerr)
		}
	}
	return fmt.Errorf("%s: %w", f.Name(), err)
}

// checkLog demands all records of all threads, each thread's in order.
func (a *arena) checkLog(threads []*thread) error {
	b, err := os.ReadFile(a.log.Name())
	if err != nil {
		return err
	}
	last := make([]uint32, len(threads))
	for ; len(b) > 0; b = b[min(len(b), recordSize):] {
		w, seq, _, present, err := parse(b[:min(len(b), recordSize)])
		if err != nil || !present || seq != last[w]+1 {
			return fmt.Errorf("log: %v, writer %d, %d after %d", err, w, seq, last[w])
		}
		last[w] = seq
	}
	for i, th := range threads {
		if last[i] != th.logs {
			return fmt.Errorf("log: the last of writer %d is %d, not %d", i, last[i], th.logs)
		}
	}
	return nil
}

// checkTree looks whether names, links and sizes fit together, and reads all files.
func checkTree(root string) error {
	links, names := map[uint64]uint64{}, map[uint64]uint64{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return fmt.Errorf("%s is listed: %w", p, err)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		links[st.Ino] = uint64(st.Nlink)
		names[st.Ino]++
		b, err := os.ReadFile(p)
		if err == nil && int64(len(b)) != st.Size {
			err = fmt.Errorf("%s has %d bytes, and stat says %d", p, len(b), st.Size)
		}
		if err == nil && bytes.HasPrefix([]byte(d.Name()), []byte("shared")) {
			err = parseAll(b, 0)
		}
		return err
	})
	for ino, n := range links {
		if names[ino] != n {
			err = errors.Join(err, fmt.Errorf("inode %x has %d names and says %d", ino, names[ino], n))
		}
	}
	return err
}
