package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/namespace/sim"
)

// failure is the first schedule that failed.
type failure struct {
	seed uint64
	s    *sim.Script
	f    *sim.Failure
}

func (x *failure) print(out io.Writer, o *options, schedules int, took time.Duration) {
	fmt.Fprintf(out, "FAILED seed %d after %d schedules, %.1f s: %s\n", x.seed, schedules, took.Seconds(), x.f.Invariant)
	if o.quiet {
		return
	}
	n := len(x.s.Steps)
	s, f := sim.Shrink(x.s, x.f, o.cfg)
	fmt.Fprintf(out, "%v\n\n# shortened from %d steps; to play it again: -script FILE, or -seed %d -n 1\n%v", f, n, x.seed, s)
}

func report(out io.Writer, seed uint64, s *sim.Stats, took time.Duration) {
	fmt.Fprintf(out, "%d schedules passed, seeds %d to %d, in %.0f s (%.0f a second): %d steps, %d sessions, of which %d were cut\n",
		s.Schedules, seed, seed+uint64(s.Schedules)-1, took.Seconds(), float64(s.Schedules)/took.Seconds(), s.Steps, s.Sessions, s.Cut)
	table(out, "operations", s.Ops)
	table(out, "met, while every step was checked", s.Met)
	if m := s.Missing(); len(m) > 0 {
		fmt.Fprintf(out, "never met: %q\n", m)
	}
}

func table(out io.Writer, title string, m map[string]int) {
	fmt.Fprintf(out, "%s:\n", title)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(out, "%10d  %s\n", m[k], k)
	}
}
