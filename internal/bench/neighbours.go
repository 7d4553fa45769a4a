//go:build linux

package main

import (
	"bytes"
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

// neighbours does what programs do on the local disk, on gocryptfs (encrypted, on the same disk), on a
// mount by rclone (of a local folder) and on Shelf, in turn, and prints one table. What Shelf is to reach
// counts for a device alone: the others have nobody either who does everything again beside them.
func neighbours(s *stage, only string) error {
	all, err := mountNeighbours(s)
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
		medians, err := inTurn(s.rounds, columns, 1, func(column, round int) ([]float64, error) {
			return all[column].take(s, w, round)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		lines = append(lines, against{work: w.name, unit: w.unit, values: medians[0], want: w.want, met: w.met(medians[0])})
	}
	fmt.Printf("\n%d rounds in turn, medians; large file %d MiB\n\n", s.rounds, s.mib)
	printAgainst([]string{"disk", "gocryptfs", "rclone", "Shelf", "followed"}, lines)
	return nil
}

// take has one neighbour do a work, in a folder of its own.
func (n neighbour) take(s *stage, w work, round int) ([]float64, error) {
	dir := filepath.Join(n.dir, strings.Map(letters, w.name))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	v, err := w.take(s, dir, round)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.name, err)
	}
	return []float64{v}, nil
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return '-'
}

func mountNeighbours(s *stage) ([]neighbour, error) {
	base := filepath.Dir(s.plain)
	all := []neighbour{{"disk", s.plain}}
	const password = "echo a password for a benchmark"
	cipher, plain := filepath.Join(base, "gocryptfs"), filepath.Join(base, "mnt-gocryptfs")
	source, mnt := filepath.Join(base, "rclone"), filepath.Join(base, "mnt-rclone")
	for _, d := range []string{cipher, plain, source, mnt} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := command("gocryptfs", "-q", "-init", "-scryptn", "10", "-extpass", password, cipher); err != nil {
		return nil, err
	}
	if err := s.ends.begin(func() error {
		return command("gocryptfs", "-q", "-extpass", password, cipher, plain)
	}, unmount(plain)); err != nil {
		return nil, err
	}
	all = append(all, neighbour{"gocryptfs", plain})
	if err := s.ends.begin(func() error {
		return command("rclone", "mount", "--daemon", "--config", "/dev/null", "--cache-dir", filepath.Join(base, "rclone-cache"),
			"--vfs-cache-mode", "full", "--dir-cache-time", "1h", "--attr-timeout", "1h", ":local:"+source, mnt)
	}, unmount(mnt)); err != nil {
		return nil, err
	}
	all = append(all, neighbour{"rclone", mnt})
	alone := home{bin: s.bin, home: filepath.Join(base, "alone"), mnt: filepath.Join(base, "mnt-alone")}
	if err := s.ends.begin(func() error { return s.up(alone, "--name", "alone") }, func() { down(alone) }); err != nil {
		return nil, err
	}
	return append(all, neighbour{"Shelf", alone.mnt}, neighbour{"followed", s.a.mnt}), nil
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// unmount unmounts, also what is still in use.
func unmount(dir string) func() {
	return func() {
		for range 20 { // what wrote there may not have ended
			if !mounted(dir) || command("umount", dir) == nil || command("fusermount3", "-u", dir) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		if command("umount", "-l", dir) != nil {
			_ = command("fusermount3", "-uz", dir)
		}
	}
}

// mounted asks the kernel's table: what is mounted there may be dead, and is not to be asked.
func mounted(dir string) bool {
	table, _ := os.ReadFile("/proc/self/mounts")
	return bytes.Contains(table, []byte(" "+dir+" fuse"))
}
