// Command mutants switches each merge rule off in turn and sees the simulation fail: the proof
// that the simulation would notice. The product has no hooks for it: every mutant is built with
// one edit of one file laid over the source (go build -overlay).
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mutant is one rule switched off.
type mutant struct {
	rule  string // of the design
	off   string // what is no longer so
	edits []edit // several where each of several places would be enough
}

// edit is one change of a file.
type edit struct {
	file     string // in internal/namespace
	old, new string // old stands in the file exactly once
}

func is(file, old, new string) []edit { return []edit{{file, old, new}} }

// and adds a change to others.
func and(edits []edit, file, old, new string) []edit { return append(edits, edit{file, old, new}) }

func main() {
	budget := flag.Duration("for", 2*time.Minute, "how long a mutant may survive")
	workers := flag.Int("workers", 2, "schedules at once")
	seed := flag.Uint64("seed", 1, "first seed")
	mounts := flag.Bool("oracle", false, "not the simulation, but two real mounts (internal/scenario, TestOracle)")
	only := flag.String("only", "", "only the mutants whose rule or text matches this expression")
	flag.Parse()
	want, err := regexp.Compile(*only)
	if err != nil {
		fatal(err)
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		fatal(fmt.Errorf("go list: %w", err))
	}
	dir, err := os.MkdirTemp("", "shelf-mutants-")
	if err != nil {
		fatal(err)
	}
	code := 0
	fmt.Printf("%-4s %-62s %-41s %9s %7s  %s\n", "rule", "switched off", "noticed by", "schedules", "seconds", "seed or case")
	for _, m := range mutants {
		if !want.MatchString(m.rule + " " + m.off) {
			continue
		}
		play := m.run
		if *mounts {
			play = m.mounted
		}
		r, err := play(strings.TrimSpace(string(root)), dir, *budget, *workers, *seed)
		switch {
		case err != nil:
			code = 1
			fmt.Printf("%-4s %-62s BROKEN: %v\n", m.rule, m.off, err)
		case r.invariant == "":
			code = 1
			fmt.Printf("%-4s %-62s SURVIVED %v\n", m.rule, m.off, *budget)
		default:
			fmt.Printf("%-4s %-62s %-41s %9s %7s  %s\n", m.rule, m.off, r.invariant, r.schedules, r.seconds, r.seed)
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "mutants:", err)
	os.Exit(2)
}

// result is how a mutant was found.
type result struct{ invariant, seed, schedules, seconds string }

var failed = regexp.MustCompile(`^FAILED (?:seed|case) (\S+) after (\d+) schedules, ([0-9.]+) s: (.*)\n`)

// run builds the mutant and plays until it fails.
func (m *mutant) run(root, dir string, budget time.Duration, workers int, seed uint64) (result, error) {
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return result{}, err
	}
	program := filepath.Join(dir, "sim.exe")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-overlay", overlay, "-o", program, "./internal/namespace/sim/cmd/sim")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return result{}, fmt.Errorf("does not build: %s", out)
	}
	begun := time.Now()
	out, err := exec.Command(program, "-quiet", "-for", budget.String(), "-workers", fmt.Sprint(workers), "-seed", fmt.Sprint(seed),
		"-cases", filepath.Join(root, "internal", "namespace", "sim", "testdata")).Output()
	if err == nil {
		return result{}, nil
	}
	if found := failed.FindStringSubmatch(string(out)); found != nil {
		return result{found[4], found[1], found[2], found[3]}, nil
	}
	if crash := (*exec.ExitError)(nil); errors.As(err, &crash) && strings.Contains(string(crash.Stderr), "fatal error: stack overflow") {
		return result{"stack overflow", "?", "?", fmt.Sprintf("%.1f", time.Since(begun).Seconds())}, nil
	}
	return result{}, fmt.Errorf("%w: %.300s", err, out)
}

var (
	complaint = regexp.MustCompile(`(?m)^ +oracle[a-z_]*_test\.go:\d+: (.*)$`)
	lastSeed  = regexp.MustCompile(`--- FAIL: TestOracle/seed-(\d+) `)
)

// mounted builds the whole program of the mutant and lets two of its mounts quarrel. A seed decides
// there what is tried, not what comes of it.
func (m *mutant) mounted(root, dir string, budget time.Duration, _ int, seed uint64) (result, error) {
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return result{}, err
	}
	begun := time.Now()
	test := exec.Command("go", "test", "./internal/scenario", "-run", "TestOracle$", "-count", "1", "-timeout", "0", "-oracle.overlay", overlay,
		"-oracle.time", budget.String(), "-oracle.rounds", "12", "-oracle.seed", fmt.Sprint(seed))
	test.Dir = root
	out, err := test.CombinedOutput()
	if err == nil {
		return result{}, nil
	}
	said, at := complaint.FindStringSubmatch(string(out)), lastSeed.FindStringSubmatch(string(out))
	if said == nil || at == nil {
		return result{}, fmt.Errorf("%w: %.300s", err, out)
	}
	return result{fmt.Sprintf("%.100s", said[1]), at[1], "?", fmt.Sprintf("%.1f", time.Since(begun).Seconds())}, nil
}

// overlay writes the changed files, and the list of them that go build wants.
func (m *mutant) overlay(root, dir string) (string, error) {
	list := map[string]map[string]string{"Replace": {}}
	for _, e := range m.edits {
		file := filepath.Join(root, "internal", "namespace", filepath.FromSlash(e.file))
		read := file
		if edited := list["Replace"][file]; edited != "" {
			read = edited
		}
		text, err := os.ReadFile(read)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return "", fmt.Errorf("the text to change stands in %s %d times: %q", e.file, n, e.old)
		}
		edited := filepath.Join(dir, strings.ReplaceAll(e.file, "/", "-"))
		if err := os.WriteFile(edited, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			return "", err
		}
		list["Replace"][file] = edited
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}
