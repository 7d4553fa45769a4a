//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// list is `ls -l` of one large folder, cold: on b, whose daemon has just been started and that holds nothing
// but the names and attributes, with the kernel's caches dropped.
func list(s *stage) ([]row, error) {
	const name = "many"
	for _, dir := range []string{s.a.mnt, s.plain} {
		if err := fill(filepath.Join(dir, name), s.entries); err != nil {
			return nil, err
		}
	}
	last := filepath.Join(s.b.mnt, name, entryName(s.entries-1))
	if !within(2*time.Minute, func() bool { return there(last) }) {
		return nil, fmt.Errorf("%s did not appear", last)
	}
	ours, limit := listing{dir: filepath.Join(s.b.mnt, name)}, listing{dir: filepath.Join(s.plain, name)}
	for range s.rounds {
		if err := s.restart(s.b); err != nil {
			return nil, err
		}
		for _, l := range []*listing{&ours, &limit} {
			dropCaches()
			if err := l.take(s.entries); err != nil {
				return nil, err
			}
		}
	}
	work := fmt.Sprintf("ls -l of %d entries, cold", s.entries)
	const what = "the local disk, caches dropped"
	return []row{
		{work: work + ": first entry", unit: "ms", ours: median(ours.first), limit: median(limit.first), what: what},
		{work: work + ": all of them", unit: "ms", ours: median(ours.all), limit: median(limit.all), what: what},
		{work: work + ": again, warm", unit: "ms", ours: median(ours.again), limit: median(limit.again), what: "the local disk"},
	}, nil
}

// listing is how long listings of a folder took, in milliseconds.
type listing struct {
	dir               string
	first, all, again []float64
}

// take lists the folder until its first name, from there on all n with their attributes, and once more.
func (l *listing) take(n int) error {
	begun := time.Now()
	f, err := os.Open(l.dir)
	if err != nil {
		return err
	}
	_, err = f.Readdirnames(1)
	first := time.Since(begun)
	f.Close()
	if err != nil {
		return err
	}
	if err := ls(l.dir, n); err != nil {
		return err
	}
	all := time.Since(begun)
	again, err := seconds(func() error { return ls(l.dir, n) })
	l.first = append(l.first, first.Seconds()*1000)
	l.all = append(l.all, all.Seconds()*1000)
	l.again = append(l.again, again*1000)
	return err
}

// ls runs the real program and checks that it shows n entries.
func ls(dir string, n int) error {
	out, err := exec.Command("ls", "-l", dir).Output()
	if err != nil {
		return err
	}
	lines := -1 // the first line is the total
	for _, c := range out {
		if c == '\n' {
			lines++
		}
	}
	if lines != n {
		return fmt.Errorf("ls -l shows %d entries of %d", lines, n)
	}
	return nil
}

func entryName(i int) string { return fmt.Sprintf("entry-%06d", i) }

func fill(dir string, n int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range n {
		name := entryName(i)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			return err
		}
	}
	return nil
}
