//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// change is one kind of change of the tree, made at p, or from p to q. Each change has a p and a q of
// its own; p is there before if prepare makes it, q is not.
type change struct {
	name    string
	prepare func(p string) error    // nil: p is not there
	make    func(p, q string) error // on a; the clock starts when it returns
	shows   func(p, q string) bool  // on b: what a script would ask, in ordinary system calls
}

const (
	changesEach  = 100
	changesLimit = 30 * time.Second // for one to show
)

var (
	oldBytes = bytes.Repeat([]byte("before. "), 512)
	newBytes = bytes.Repeat([]byte("after!! "), 512) // as long as the old: no size gives it away
	newTime  = time.Unix(1_600_000_000, 0)
)

var changes = []change{
	{"create", nil,
		func(p, _ string) error { return os.WriteFile(p, newBytes, 0o644) },
		func(p, _ string) bool { return there(p) }},
	{"write", makeFile,
		func(p, _ string) error { return overwrite(p, newBytes) },
		func(p, _ string) bool { return holds(p, newBytes) }},
	{"save by rename", makeFile,
		func(p, q string) error {
			if err := os.WriteFile(q, newBytes, 0o644); err != nil {
				return err
			}
			return os.Rename(q, p)
		},
		func(p, _ string) bool { return holds(p, newBytes) }},
	{"truncate", makeFile,
		func(p, _ string) error { return os.Truncate(p, 7) },
		func(p, _ string) bool { fi, err := os.Lstat(p); return err == nil && fi.Size() == 7 }},
	{"rename", makeFile,
		os.Rename,
		func(p, q string) bool { return gone(p) && there(q) }},
	{"unlink", makeFile,
		func(p, _ string) error { return unix.Unlink(p) },
		func(p, _ string) bool { return gone(p) }},
	{"mkdir", nil,
		func(p, _ string) error { return makeFolder(p) },
		func(p, _ string) bool { return there(p) }},
	{"rmdir", makeFolder,
		func(p, _ string) error { return unix.Rmdir(p) },
		func(p, _ string) bool { return gone(p) }},
	{"symlink", nil,
		func(p, _ string) error { return os.Symlink("target", p) },
		func(p, _ string) bool { to, err := os.Readlink(p); return err == nil && to == "target" }},
	{"link", makeFile,
		os.Link,
		func(p, q string) bool {
			var st unix.Stat_t
			return there(q) && unix.Lstat(p, &st) == nil && st.Nlink == 2
		}},
	{"chmod", makeFile,
		func(p, _ string) error { return os.Chmod(p, 0o600) },
		func(p, _ string) bool { fi, err := os.Lstat(p); return err == nil && fi.Mode().Perm() == 0o600 }},
	{"utimes", makeFile,
		func(p, _ string) error { return os.Chtimes(p, newTime, newTime) },
		func(p, _ string) bool { fi, err := os.Lstat(p); return err == nil && fi.ModTime().Equal(newTime) }},
	{"setxattr", makeFile,
		func(p, _ string) error { return unix.Setxattr(p, "user.k", []byte("v"), 0) },
		func(p, _ string) bool { _, err := unix.Lgetxattr(p, "user.k", make([]byte, 1)); return err == nil }},
}

// propagation is the time from the return of a change on a until an ordinary system call on b shows it.
// b's kernel has looked at what is to change, so it also has to be told to forget.
func propagation(s *stage) ([]row, error) {
	sync, err := dataSyncs(s.plain, changesEach)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var rows []row
	for i, c := range changes {
		ms, err := c.measure(s, fmt.Sprintf("change-%02d", i), rng)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		rows = append(rows, row{
			work: "shows on the other device: " + c.name, unit: "ms", ours: median(ms),
			limit: median(sync), what: "one fdatasync of 4 KiB",
			note: fmt.Sprintf("p99 %s ms, the limit's %s", number(percentile(ms, 0.99)), number(percentile(sync, 0.99))),
		})
	}
	return rows, nil
}

func (c change) measure(s *stage, dir string, rng *rand.Rand) (ms []float64, err error) {
	at := func(h home, name string, i int) string {
		return filepath.Join(h.mnt, dir, fmt.Sprintf("%s%03d", name, i))
	}
	if err := makeFolder(filepath.Join(s.a.mnt, dir)); err != nil {
		return nil, err
	}
	for i := range changesEach {
		if c.prepare != nil {
			if err := c.prepare(at(s.a, "p", i)); err != nil {
				return nil, err
			}
		}
	}
	for i := range changesEach {
		p, q := at(s.b, "p", i), at(s.b, "q", i)
		if c.prepare != nil && !within(changesLimit, func() bool { return prepared(p) }) {
			return nil, fmt.Errorf("%s did not appear", p)
		}
		if c.shows(p, q) {
			return nil, fmt.Errorf("%s shows before it was made", p)
		}
	}
	for i := range changesEach {
		// At no particular moment of whatever gathers changes on the way.
		time.Sleep(time.Duration(rng.Int64N(int64(20 * time.Millisecond))))
		if err := c.make(at(s.a, "p", i), at(s.a, "q", i)); err != nil {
			return nil, err
		}
		p, q := at(s.b, "p", i), at(s.b, "q", i)
		t := time.Now()
		if !within(changesLimit, func() bool { return c.shows(p, q) }) {
			return nil, fmt.Errorf("%s does not show", p)
		}
		ms = append(ms, time.Since(t).Seconds()*1000)
	}
	return ms, nil
}

// dataSyncs is how long it takes to make 4 KiB durable on the local disk, n times, in milliseconds.
func dataSyncs(dir string, n int) (ms []float64, err error) {
	f, err := os.Create(filepath.Join(dir, "synced"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for range n {
		sec, err := seconds(func() error {
			if _, err := f.Write(newBytes); err != nil {
				return err
			}
			return unix.Fdatasync(int(f.Fd()))
		})
		if err != nil {
			return nil, err
		}
		ms = append(ms, sec*1000)
	}
	return ms, nil
}

func makeFile(p string) error   { return os.WriteFile(p, oldBytes, 0o644) }
func makeFolder(p string) error { return os.Mkdir(p, 0o755) }

func overwrite(p string, b []byte) error {
	f, err := os.OpenFile(p, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Close())
}

// prepared reports whether p is as makeFile or makeFolder left it.
func prepared(p string) bool {
	fi, err := os.Lstat(p)
	return err == nil && (fi.IsDir() || holds(p, oldBytes))
}

func there(p string) bool { _, err := os.Lstat(p); return err == nil }
func gone(p string) bool  { _, err := os.Lstat(p); return errors.Is(err, fs.ErrNotExist) }

func holds(p string, want []byte) bool {
	b, err := os.ReadFile(p)
	return err == nil && bytes.Equal(b, want)
}

// within asks until ok, as often as a shell's loop might at best.
func within(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); !ok(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
