//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// neighbour is a folder on which the same work is done.
type neighbour struct {
	name string
	dir  string
	end  func() error
}

// The columns of the table of neighbours.
const (
	disk = iota
	gocryptfs
	rclone
	shelf
	followed // Shelf again, with another device of the account on the same two cores, which follows
	columns
)

// against is one line of the table of neighbours: medians, and what Shelf is to reach.
type against struct {
	work   string
	unit   string
	values [columns]float64
	want   string
	met    bool
}

// neighbours does what programs do on the local disk, on gocryptfs (encrypted, on the same disk), on a
// mount by rclone (of a local folder) and on Shelf, in turn, and prints one table. What Shelf is to reach
// counts for a device alone: the others have nobody either who does everything again beside them.
func neighbours(s *stage, only string) error {
	all, err := mountNeighbours(s)
	defer func() {
		for _, n := range all {
			if n.end != nil {
				_ = n.end()
			}
		}
	}()
	if err != nil {
		return err
	}
	which, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var lines []against
	for _, w := range works {
		if !which.MatchString(w.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s …\n", w.name)
		values, err := inTurn(s, all, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		l := against{work: w.name, unit: w.unit, values: values, want: w.want}
		l.met = w.met(values)
		lines = append(lines, l)
	}
	fmt.Printf("\n%d rounds in turn, medians; large file %d MiB\n\n", s.rounds, s.mib)
	fmt.Printf("| %-44s | %-5s | %9s | %9s | %9s | %9s | %9s | %-42s |\n", "work", "unit", "disk", "gocryptfs", "rclone", "Shelf", "followed", "Shelf is to reach")
	fmt.Printf("|%s|%s|%s|%s|%s|%s|%s|%s|\n", dash(46), dash(7), dash(11), dash(11), dash(11), dash(11), dash(11), dash(44))
	for _, l := range lines {
		verdict := "met: "
		if !l.met {
			verdict = "NOT met: "
		}
		fmt.Printf("| %-44s | %-5s | %9s | %9s | %9s | %9s | %9s | %-42s |\n", l.work, l.unit, number(l.values[disk]), number(l.values[gocryptfs]),
			number(l.values[rclone]), number(l.values[shelf]), number(l.values[followed]), verdict+l.want)
	}
	return nil
}

// inTurn takes a work on every neighbour, s.rounds times.
func inTurn(s *stage, all []neighbour, w work) (medians [columns]float64, err error) {
	var taken [columns][]float64
	for round := range s.rounds {
		for i, n := range all {
			dir := filepath.Join(n.dir, strings.Map(letters, w.name))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return medians, err
			}
			v, err := w.take(s, dir, round)
			if err != nil {
				return medians, fmt.Errorf("%s: %w", n.name, err)
			}
			taken[i] = append(taken[i], v)
		}
	}
	for i := range taken {
		medians[i] = median(taken[i])
	}
	return medians, nil
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return '-'
}

func mountNeighbours(s *stage) ([]neighbour, error) {
	base := filepath.Dir(s.plain)
	all := []neighbour{{name: "disk", dir: s.plain}}
	const password = "echo a password for a benchmark"
	cipher, plain := filepath.Join(base, "gocryptfs"), filepath.Join(base, "mnt-gocryptfs")
	source, mnt := filepath.Join(base, "rclone"), filepath.Join(base, "mnt-rclone")
	for _, d := range []string{cipher, plain, source, mnt} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return all, err
		}
	}
	if err := command("gocryptfs", "-q", "-init", "-scryptn", "10", "-extpass", password, cipher); err != nil {
		return all, err
	}
	if err := command("gocryptfs", "-q", "-extpass", password, cipher, plain); err != nil {
		return all, err
	}
	all = append(all, neighbour{"gocryptfs", plain, unmount(plain)})
	if err := command("rclone", "mount", "--daemon", "--config", "/dev/null", "--cache-dir", filepath.Join(base, "rclone-cache"),
		"--vfs-cache-mode", "full", "--dir-cache-time", "1h", "--attr-timeout", "1h", ":local:"+source, mnt); err != nil {
		return all, err
	}
	all = append(all, neighbour{"rclone", mnt, unmount(mnt)})
	alone := home{s.bin, filepath.Join(base, "alone"), filepath.Join(base, "mnt-alone")}
	if _, err := alone.shelf("up", alone.mnt, "--name", "alone", "--cache-size", s.cache); err != nil {
		return all, err
	}
	all = append(all, neighbour{"Shelf", alone.mnt, func() error { _, err := alone.shelf("down"); return err }})
	return append(all, neighbour{name: "followed", dir: s.a.mnt}), nil
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

func unmount(dir string) func() error {
	return func() error {
		var err error
		for range 20 { // what wrote there may not have ended
			if err = command("fusermount3", "-u", dir); err == nil {
				return nil
			}
			time.Sleep(100 * time.Millisecond)
		}
		return errors.Join(err, command("fusermount3", "-uz", dir))
	}
}
