package fstest

import (
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
)

// inParts is a device with a clock that stands still and a file that is open twice; part writes a piece of it,
// and close closes its second handle, which asks for the file to be saved.
func inParts(t *testing.T) (tt *T, r *recorder, clock *atomic.Int64, part func(off int64, n int, more bool), close func()) {
	r, clock = &recorder{}, &atomic.Int64{}
	clock.Store(time.Now().UnixNano())
	tt, d := one(t, setup{limits: fs.Limits{Quiet: time.Second}, wrap: func(c *fs.Config) {
		record(r)(c)
		c.Clock = func() time.Time { return time.Unix(0, clock.Load()) }
	}})
	f, g := tt.open("/a", os.O_RDWR|os.O_CREATE), tt.open("/a", os.O_RDWR)
	part = func(off int64, n int, more bool) {
		t.Helper()
		_, err := f.(*coreFile).h.WriteAt(bg, off, random(1, n), fs.WriteFlags{More: more})
		tt.ok(err)
	}
	// Another file, which is closed later and saved, shows that the first was looked at.
	close = func() {
		t.Helper()
		tt.ok(g.Close())
		tt.write("/b", "x")
		eventually(t, "another file is saved", func() bool { return d.fs.Stats().UnsavedFiles <= 1 && slices.Contains(r.seen(), 1) })
	}
	return tt, r, clock, part, close
}

// seen are the sizes of the versions committed until now.
func (r *recorder) seen() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.committed)
}

// No version is saved between two parts of a write.
func TestPartsOfAWriteAreSavedTogether(t *testing.T) {
	_, r, _, part, close := inParts(t)
	part(0, 1000, true)
	close()
	part(1000, 1000, true)
	part(2000, 500, false)
	eventually(t, "saved", func() bool { return slices.Contains(r.seen(), 2500) })
	if got := r.sizes(); !slices.Equal(got, []uint64{1, 2500}) {
		t.Errorf("versions of %v bytes were saved", got)
	}
}

// Whoever waits, a next part that does not come, and parts without end have a version saved all the same.
func TestPartsAreNotWaitedForTooLong(t *testing.T) {
	for name, do := range map[string]func(tt *T, clock *atomic.Int64, part func(off int64, n int, more bool)){
		"the next does not come": func(_ *T, clock *atomic.Int64, _ func(int64, int, bool)) { clock.Add(int64(200 * time.Millisecond)) },
		"without end": func(_ *T, clock *atomic.Int64, part func(int64, int, bool)) {
			for range 220 {
				clock.Add(int64(50 * time.Millisecond))
				part(0, 1000, true)
			}
		},
		"somebody waits": func(tt *T, _ *atomic.Int64, _ func(int64, int, bool)) {
			tt.write("/c", "y") // a file that is to be replaced is saved first
			tt.ok(tt.Rename("/a", "/c", Replace))
		},
	} {
		tt, r, clock, part, close := inParts(t)
		part(0, 1000, true)
		close()
		if slices.Contains(r.seen(), 1000) {
			t.Fatalf("%s: saved before", name)
		}
		do(tt, clock, part)
		eventually(t, name, func() bool { return slices.Contains(r.seen(), 1000) })
	}
}
