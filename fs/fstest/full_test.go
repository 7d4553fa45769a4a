package fstest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
)

// created writes a new file and tells how close(2) answers.
func (t *T) created(path, text string) error {
	t.Helper()
	f := t.open(path, os.O_WRONLY|os.O_CREATE)
	t.pwrite(f, 0, []byte(text))
	return f.Close()
}

// While the disk is nearly full, close says what became of the file, at the first attempt.
func TestCloseOnANearlyFullDisk(t *testing.T) {
	r := &recorder{}
	avail := atomic.Uint64{}
	avail.Store(1 << 20)
	tt, d := one(t, setup{wrap: func(c *fs.Config) {
		record(r)(c)
		c.StatFS = func() fs.Usage { return fs.Usage{Total: 1 << 30, Free: avail.Load(), Avail: avail.Load()} }
	}})
	r.take()
	tt.ok(tt.created("/a", "it fits"))
	if log := r.take(); !slices.Contains(log, "Commit") {
		t.Errorf("close did not wait for the outcome: %q", log)
	}
	r.set("Stage", errs.E("test", errs.NoSpace, "", nil))
	tt.fails(tt.created("/b", "it does not"), syscall.ENOSPC)
	r.set("Stage", nil)
	tt.ok(d.fs.Sync(context.Background()))
	tt.holds("/b", "it does not")
}

// Where saving failed lately, for whichever file, close waits, until one was saved again.
func TestCloseAfterAnotherFileFailed(t *testing.T) {
	for op, kind := range map[string]errs.Kind{"Stage": errs.NoSpace, "Commit": errs.NoSpace, "store.Sync": errs.Other} {
		t.Run(op, func(t *testing.T) {
			r := &recorder{}
			tt, d := one(t, setup{wrap: record(r)})
			failure := errs.E("test", kind, "", nil)
			r.set(op, failure)
			_ = tt.created("/first", "x")
			eventually(t, "tried", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return slices.Contains(r.log, op+" failed") })
			probes := 0 // the outcome is noted a moment later
			eventually(t, "noted", func() bool { probes++; return tt.created(fmt.Sprint("/probe", probes), "x") != nil })
			for i := range 3 {
				tt.fails(tt.created(fmt.Sprint("/", i), "x"), fs.Errno(failure))
			}
			r.set(op, nil)
			tt.ok(tt.created("/room", "x"))
			tt.ok(d.fs.Sync(context.Background()))
		})
	}
}

// The ordinary close waits for nothing.
func TestOrdinaryCloseDoesNotWait(t *testing.T) {
	r := &recorder{}
	tt, _ := one(t, setup{wrap: record(r)})
	r.mu.Lock()
	r.slow["Stage"] = 200 * time.Millisecond
	r.mu.Unlock()
	r.take()
	tt.ok(tt.created("/a", "x"))
	if log := r.take(); slices.Contains(log, "Stage") {
		t.Errorf("close waited for %q", log)
	}
}

// That bytes of one file cannot be had says nothing of another file.
func TestCloseBesideAFileThatNeedsBytesFromAfar(t *testing.T) {
	r := &recorder{}
	tt, d := one(t, setup{wrap: record(r)})
	r.set("Stage", errs.E("test", errs.Offline, "", nil))
	_ = tt.created("/a", "x")
	eventually(t, "tried", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return slices.Contains(r.log, "Stage failed") })
	time.Sleep(20 * time.Millisecond)
	tt.ok(tt.created("/b", "x"))
	r.set("Stage", nil)
	tt.ok(d.fs.Sync(context.Background()))
}

// lines counts the lines written to it that hold a text.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// A full disk fills neither the log nor the day: each file is tried again now and then, and one
// line stands for many failures.
func TestFullDiskIsQuiet(t *testing.T) {
	r, log := &recorder{}, &lines{}
	tt, d := one(t, setup{wrap: record(r), log: log, limits: fs.Limits{Quiet: 20 * time.Millisecond}})
	r.set("Stage", errs.E("test", errs.NoSpace, "", nil))
	var open []File
	for i := range 5 {
		f := tt.open(fmt.Sprint("/", i), os.O_WRONLY|os.O_CREATE)
		tt.pwrite(f, 0, []byte("x"))
		open = append(open, f)
	}
	eventually(t, "all tried", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.log) >= 5 })
	r.take()
	time.Sleep(500 * time.Millisecond) // 25 times the quiet time, a sixth of the time to the next attempt
	if again := r.take(); len(again) > 0 {
		t.Errorf("%d further attempts", len(again))
	}
	if n := log.count("could not be saved"); n != 1 {
		t.Errorf("%d lines", n)
	}
	r.set("Commit", errs.E("test", errs.Corrupt, "", nil)) // another cause is told
	r.set("Stage", nil)
	tt.fails(open[0].Sync(), syscall.EIO)
	if n := log.count("could not be saved"); n != 2 {
		t.Errorf("%d lines after another cause", n)
	}
	r.set("Commit", nil)
	for _, f := range open {
		_ = f.Close()
	}
	tt.ok(d.fs.Sync(context.Background()))
}
