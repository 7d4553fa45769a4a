package fstest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRandomAlong has a second device read files while the first writes them. Every state of a file is
// made of records that say which state it is and how many they are; the second device must see only
// states that there were, and of one file never an older one after a newer one.
//
// What counts as seen: a file that is replaced by rename never changes, so that whatever is read of it is
// a state. One that is appended to only grows, so that what is read is what was written up to some moment;
// as a write is handed over by pages, that may lie within one, at the end of a page. Of a file that is
// written over, a reader may get pages of two states, for neither writing nor reading is atomic, here or
// elsewhere: such a file is read again until it is a state, and if it holds still it must be one.
func TestRandomAlong(t *testing.T) {
	t.Logf("-random.seed %d", *randomSeed)
	c := mounted(t)
	there := c.ask("along")
	var writers, readers sync.WaitGroup
	var done atomic.Bool
	var files []*watched
	for i, how := range []func(*watched) error{(*watched).rewrite, (*watched).save, (*watched).replace, (*watched).append} {
		f := &watched{
			name: fmt.Sprint("file", i), here: c.mnt, there: there, settled: i >= 2, empties: i == 1,
			r: rand.New(rand.NewPCG(*randomSeed, uint64(i))), parse: whole,
		}
		if i == 3 {
			f.parse = appended
		}
		files = append(files, f)
		writers.Go(func() {
			for range *randomOps/10 + *randomRounds {
				if err := how(f); err != nil {
					t.Errorf("%s: %v", f.name, err)
					return
				}
			}
		})
		readers.Go(func() {
			for last := uint32(0); !done.Load(); {
				var err error
				if last, err = f.see(last); err != nil {
					t.Errorf("-random.seed %d: %s: %v", *randomSeed, f.name, err)
					return
				}
			}
		})
	}
	writers.Wait()
	c.ask("fetch")
	done.Store(true)
	readers.Wait()
	for _, f := range files {
		want, err := os.ReadFile(filepath.Join(f.here, f.name))
		soon(t, said(err, len(want), sum(want)), func() string {
			got, err := os.ReadFile(filepath.Join(f.there, f.name))
			return said(err, len(got), sum(got))
		})
		t.Logf("%s: %d states, of which %d were seen; %d times pages of two were read", f.name, f.generation, f.seen, f.mixed)
	}
}

// watched is a file that one device writes and another reads.
type watched struct {
	name        string
	here, there string
	r           *rand.Rand
	settled     bool // the bytes that are there never change
	empties     bool // it may show with no bytes
	parse       func(b []byte) (generation uint32, err error)

	generation  uint32 // that was written
	seen, mixed int
}

// state makes the next generation, of n records.
func (f *watched) state(n int) (b []byte) {
	f.generation++
	for i := range n {
		b = append(b, newRecord(f.generation, uint32(n), uint32(i))...)
	}
	return b
}

func (f *watched) write(name string, flag int, b []byte) error {
	file, err := os.OpenFile(filepath.Join(f.here, name), os.O_WRONLY|os.O_CREATE|flag, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err == nil && f.r.IntN(4) == 0 {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// rewrite writes over all that was there.
func (f *watched) rewrite() error { return f.write(f.name, 0, f.state(600)) }

// save empties the file first. That it is empty is a state, too, which may show or not.
func (f *watched) save() error { return f.write(f.name, os.O_TRUNC, f.state(1+f.r.IntN(1000))) }

func (f *watched) replace() error {
	if err := f.write(f.name+".tmp", os.O_TRUNC, f.state(1+f.r.IntN(1000))); err != nil {
		return err
	}
	return os.Rename(filepath.Join(f.here, f.name+".tmp"), filepath.Join(f.here, f.name))
}

// append adds records that count down, so that it shows where a state ends.
func (f *watched) append() error {
	f.generation++
	var b []byte
	for left := f.r.IntN(20); left >= 0; left-- {
		b = append(b, newRecord(f.generation, uint32(left), 0)...)
	}
	return f.write(f.name, os.O_APPEND, b)
}

// patience is how often a file that holds still is read until it is one of its states: what another
// device changed shows page by page, within moments.
const patience = 1000

// see reads the file until it is in one of its states, and returns the generation.
func (f *watched) see(last uint32) (uint32, error) {
	var was unix.Stat_t
	for still := 0; ; still++ {
		b, st, err := readOnce(filepath.Join(f.there, f.name))
		if errors.Is(err, os.ErrNotExist) && last == 0 {
			return 0, nil
		}
		if err != nil {
			return last, err
		}
		if st.Mtim != was.Mtim || st.Size != was.Size {
			was, still = st, 0
		}
		g, err := f.parse(b)
		switch {
		case err != nil && !f.settled && still < patience:
			f.mixed++
			time.Sleep(time.Millisecond)
			continue
		case err != nil:
			return last, err
		case len(b) == 0 && f.empties:
			return last, nil
		case g < last:
			return last, fmt.Errorf("generation %d after %d", g, last)
		case g > last:
			f.seen++
		}
		return g, nil
	}
}

// readOnce reads a file in several calls, and asks for its attributes after that.
func readOnce(path string) (b []byte, st unix.Stat_t, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, st, err
	}
	defer file.Close()
	for buf := make([]byte, 100<<10); ; {
		n, err := file.Read(buf)
		b = append(b, buf[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, st, err
		}
	}
	return b, st, unix.Fstat(int(file.Fd()), &st)
}

// whole is the generation of a state of which all records say how many they are.
func whole(b []byte) (generation uint32, err error) {
	for i := 0; i*recordSize < len(b); i++ {
		g, n, place, present, err := parse(b[i*recordSize : min(len(b), (i+1)*recordSize)])
		switch {
		case err != nil || !present:
			return 0, fmt.Errorf("record %d of %d bytes: %v, present %v", i, len(b), err, present)
		case int(place) != i || int(n)*recordSize != len(b) || i > 0 && g != generation:
			return 0, fmt.Errorf("record %d of generation %d says it is %d of %d, of generation %d, in %d bytes", i, generation, place, n, g, len(b))
		}
		generation = g
	}
	return generation, nil
}

// appended is the generation of the last records of a file.
func appended(b []byte) (generation uint32, err error) {
	left := uint32(0)
	for i := 0; i*recordSize < len(b); i++ {
		g, l, _, present, err := parse(b[i*recordSize : min(len(b), (i+1)*recordSize)])
		if err != nil || !present {
			return 0, fmt.Errorf("record %d of %d bytes: %v, present %v", i, len(b), err, present)
		}
		if left == 0 && g != generation+1 || left > 0 && (g != generation || l != left-1) {
			return 0, fmt.Errorf("record %d is %d of generation %d, after %d of %d", i, l, g, left, generation)
		}
		generation, left = g, l
	}
	if left > 0 && len(b)%os.Getpagesize() != 0 {
		return 0, fmt.Errorf("the file ends %d records before generation %d does", left, generation)
	}
	return generation, nil
}
