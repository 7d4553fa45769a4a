//go:build linux

// Command bench measures Shelf as a user meets it: two real daemons with real mounts on this machine,
// driven by the command line, and prints one table. Beside each figure stands the limit measured in the
// same run (bare TLS over loopback, AES-GCM, the same work on the local disk), and the ratio.
//
// Machines are noisy: figures and limits are taken in turn, several times, and medians are printed.
// Trust the ratios more than the absolute values.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A row is one line of the table. Values are medians.
type row struct {
	work  string
	unit  string
	ours  float64
	limit float64
	what  string // what the limit is
	note  string
}

func main() {
	size := flag.Int("mib", 512, "size of the large file in MiB")
	files := flag.Int("files", 2000, "number of small files")
	entries := flag.Int("entries", 10_000, "number of entries of the large folder")
	rounds := flag.Int("rounds", 5, "how often each pair is taken")
	dir := flag.String("dir", "", "folder for everything (default: a temporary one on the disk of $TMPDIR)")
	only := flag.String("only", "", "measure only the rows whose name contains this; with -neighbours and -peers an expression")
	beside := flag.Bool("neighbours", false, "instead: the mount beside the local disk, gocryptfs and rclone")
	peering := flag.Bool("peers", false, "instead: what is only on another device, beside sshfs, rclone, davfs2 and Syncthing")
	profiles := flag.String("profiles", "", "also keep CPU profiles of both daemons during a cold read, in this folder")
	flag.Parse()
	table := table
	switch {
	case *beside:
		table = neighbours
	case *peering:
		table = peers
	}
	var e ends
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		fmt.Fprintln(os.Stderr, "bench: interrupted; ending what was begun …")
		e.all()
		os.Exit(130)
	}()
	err := run(&e, *dir, sizes{mib: *size, files: *files, entries: *entries, rounds: *rounds, profiles: *profiles}, *only, table)
	e.all()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(e *ends, dir string, n sizes, only string, table func(s *stage, only string) error) error {
	if dir == "" {
		d, err := os.MkdirTemp("", "shelf-bench-")
		if err != nil {
			return err
		}
		_ = e.begin(func() error { return nil }, func() { os.RemoveAll(d) })
		dir = d
	}
	s, err := newStage(e, dir, n)
	if err != nil {
		return err
	}
	return table(s, only)
}

// table measures Shelf alone, with the limits beside it.
func table(s *stage, only string) error {
	var rows []row
	for _, m := range measurements {
		if only != "" && !strings.Contains(m.name, only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s …\n", m.name)
		started := time.Now()
		rs, err := m.run(s)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		rows = append(rows, rs...)
		fmt.Fprintf(os.Stderr, "  %.1f s\n", time.Since(started).Seconds())
	}
	print(s, rows)
	return nil
}

func print(s *stage, rows []row) {
	fmt.Printf("\nlarge file %d MiB, %d small files of 4 KiB, folder of %d entries, %d rounds, medians; incompressible data\n\n", s.mib, s.files, s.entries, s.rounds)
	fmt.Printf("| %-50s | %10s | %-6s | %10s | %6s | %s\n", "work", "Shelf", "unit", "limit", "ratio", "the limit is")
	fmt.Printf("|%s|%s|%s|%s|%s|%s\n", dash(52), dash(12), dash(8), dash(12), dash(8), dash(40))
	for _, r := range rows {
		limit, ratio := "–", "–"
		if r.limit > 0 {
			limit, ratio = number(r.limit), number(r.ours/r.limit)
		}
		what := r.what
		if r.note != "" {
			what = strings.TrimPrefix(what+"; "+r.note, "; ")
		}
		fmt.Printf("| %-50s | %10s | %-6s | %10s | %6s | %s\n", r.work, number(r.ours), r.unit, limit, ratio, what)
	}
}

func dash(n int) string { return strings.Repeat("-", n) }

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 1:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func percentile(v []float64, p float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[min(len(v)-1, int(float64(len(v))*p))]
}

// paired runs ours and limit in turn, rounds times, and returns the medians.
func paired(rounds int, ours, limit func(round int) (float64, error)) (float64, float64, error) {
	var a, b []float64
	for i := range rounds {
		x, err := ours(i)
		if err != nil {
			return 0, 0, err
		}
		y, err := limit(i)
		if err != nil {
			return 0, 0, err
		}
		a, b = append(a, x), append(b, y)
	}
	return median(a), median(b), nil
}

// dropCaches empties the kernel's page, dentry and inode caches where we may.
func dropCaches() {
	_ = exec.Command("sync").Run()
	_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

func seconds(f func() error) (float64, error) {
	t := time.Now()
	err := f()
	return time.Since(t).Seconds(), err
}

func rate(n float64, f func() error) (float64, error) {
	s, err := seconds(f)
	return n / s, err
}

func fileName(dir string, round, i int) string {
	return filepath.Join(dir, fmt.Sprintf("r%d", round), fmt.Sprintf("d%02d", i%20), fmt.Sprintf("f%05d", i))
}
