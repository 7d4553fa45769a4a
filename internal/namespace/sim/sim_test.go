package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// report shortens a script that failed.
func report(t testing.TB, s *Script, f *Failure) {
	t.Helper()
	n := len(s.Steps)
	s, f = Shrink(s, f, Config{})
	t.Errorf("%v\nshortened from %d steps:\n%v", f, n, s)
}

// More of them: make sim.
func TestSchedules(t *testing.T) {
	n, stats := 400, NewStats()
	if testing.Short() {
		n = 60
	}
	for seed := range uint64(n) {
		if s, f := Run(seed, seed, Config{Check: 8}, stats); f != nil {
			t.Errorf("seed %d", seed)
			report(t, s, f)
			break
		}
	}
	for seed := range uint64(n / 2) {
		if s, f := Run(seed, seed, Config{Narrow: true, Raw: seed%2 == 0, Unnoticed: seed%2 == 0}, NewStats()); f != nil {
			t.Errorf("narrow, seed %d", seed)
			report(t, s, f)
			break
		}
	}
	for seed := range uint64(n / 2) {
		if s, f := Run(seed, seed, Config{Forks: true, Raw: seed%2 == 0}, NewStats()); f != nil {
			t.Errorf("forks, seed %d", seed)
			report(t, s, f)
			break
		}
	}
	if missing := stats.Missing(); len(missing) > 0 && !testing.Short() {
		t.Errorf("never met: %q", missing)
	}
}

// The same seeds are the same history, and a script is what was played: or no failure could be
// looked into.
func TestPlaysRepeat(t *testing.T) {
	for seed := range uint64(20) {
		first, _ := Run(seed, seed, Config{}, NewStats())
		again, _ := Run(seed, seed, Config{}, NewStats())
		if first.String() != again.String() {
			t.Fatalf("seed %d:\n%v\n--\n%v", seed, first, again)
		}
		parsed, err := ParseScript(first.String())
		if err != nil || parsed.String() != first.String() {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if f := Play(parsed, Config{}, NewStats()); f != nil {
			t.Fatalf("seed %d: played again: %v", seed, f)
		}
	}
}

// Cases that failed once, and those that went wrong on the way to the rules.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ParseScript(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if f := Play(s, Config{}, NewStats()); f != nil {
				t.Error(f)
			}
		})
	}
}

func BenchmarkRun(b *testing.B) {
	stats := NewStats()
	for i := 0; b.Loop(); i++ {
		if s, f := Run(uint64(i), uint64(i), Config{}, stats); f != nil {
			b.Fatalf("seed %d: %v\n%v", i, f, s)
		}
	}
}
