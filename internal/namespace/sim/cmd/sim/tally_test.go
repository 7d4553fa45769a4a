package main

import (
	"path/filepath"
	"testing"
)

// Runs that overlap count once, runs of different kinds both.
func TestTally(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tally")
	for _, x := range []struct {
		run
		want uint64
	}{
		{run{1, 100, "x"}, 100},
		{run{51, 100, "x"}, 150},
		{run{60, 10, "x"}, 150},
		{run{1, 100, "y"}, 250},
		{run{1000, 1, "x"}, 251},
	} {
		if got, err := count(file, x.run); err != nil || got != x.want {
			t.Errorf("after %v: %d, want %d, %v", x.run, got, x.want, err)
		}
	}
}
