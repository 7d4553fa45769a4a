// Command sim plays random histories of a share until it is stopped, or one fails, or enough
// have passed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shelffs/shelf/internal/namespace/sim"
)

func main() {
	o := options{}
	flag.Uint64Var(&o.seed, "seed", 1, "first seed: schedule i has the seeds seed+i")
	flag.Uint64Var(&o.n, "n", 0, "schedules; 0: until stopped")
	flag.DurationVar(&o.length, "for", 0, "how long; 0: until stopped")
	flag.IntVar(&o.workers, "workers", 2, "schedules at once")
	flag.IntVar(&o.cfg.Check, "check", 0, "check every step of one schedule in so many; 0: 32")
	flag.BoolVar(&o.cfg.NoRestore, "norestore", false, "no disk is put back from an image")
	flag.BoolVar(&o.cfg.Forks, "forks", false, "histories of a device whose disk is put back or copied unnoticed, and which may then leave")
	flag.BoolVar(&o.cfg.Narrow, "narrow", false, "short histories around one conflict, cut sessions and disks put back")
	flag.BoolVar(&o.cfg.Raw, "raw", false, "images of disks are made amid work, too")
	flag.BoolVar(&o.cfg.Unnoticed, "unnoticed", false, "disks are put back that look like those that were there")
	flag.IntVar(&o.failures, "failures", 1, "end when so many schedules have failed; with more than one, each is told at once")
	flag.BoolVar(&o.quiet, "quiet", false, "print only a failure, in one line")
	flag.BoolVar(&o.expect, "expect", false, "fail if something that is to occur never did")
	flag.StringVar(&o.tally, "tally", "", "note what has passed in this file, and print the sum of all runs noted there")
	script := flag.String("script", "", "play this file instead")
	cases := flag.String("cases", "", "first play all scripts in this folder")
	flag.Parse()
	if *script != "" {
		os.Exit(play(*script, o.cfg))
	}
	if *cases != "" && !playAll(*cases, o.cfg) {
		os.Exit(1)
	}
	debug.SetGCPercent(1600) // many short lives
	os.Exit(o.run(os.Stdout))
}

type options struct {
	seed, n  uint64
	length   time.Duration
	workers  int
	cfg      sim.Config
	failures int
	quiet    bool
	expect   bool
	tally    string
}

// playAll plays scripts until one fails.
func playAll(dir string, cfg sim.Config) bool {
	begun := time.Now()
	files, _ := filepath.Glob(filepath.Join(dir, "*.txt"))
	for i, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		s, err := sim.ParseScript(string(text))
		if err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			continue
		}
		failed := func(invariant string) {
			fmt.Printf("FAILED case %s after %d schedules, %.1f s: %s\n", strings.TrimSuffix(filepath.Base(name), ".txt"), i+1, time.Since(begun).Seconds(), invariant)
		}
		hangs := watch(failed)
		f := sim.Play(s, cfg, sim.NewStats())
		hangs.Stop()
		if f != nil {
			failed(f.Invariant)
			return false
		}
	}
	return true
}

// patience is how long a history may take that takes a moment.
const patience = 30 * time.Second

// watch ends the program if a history does not end: nothing else can be done about that.
func watch(failed func(invariant string)) *time.Timer {
	return time.AfterFunc(patience, func() {
		failed("every operation ends")
		os.Exit(1)
	})
}

func play(file string, cfg sim.Config) int {
	text, err := os.ReadFile(file)
	if err == nil {
		var s *sim.Script
		if s, err = sim.ParseScript(string(text)); err == nil {
			f := sim.Play(s, cfg, sim.NewStats())
			if f == nil {
				fmt.Println("passed")
				return 0
			}
			fmt.Println(f)
			return 1
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 2
}

// run plays schedules until enough have failed; the result is the program's exit code.
func (o *options) run(out io.Writer) int {
	begun := time.Now()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	var (
		mu     sync.Mutex
		next   uint64
		total  = sim.NewStats()
		failed *failure // of the lowest seed
		fails  int
		done   bool
	)
	take := func() (seed uint64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if done || fails >= o.failures || o.n > 0 && next == o.n || o.length > 0 && time.Since(begun) > o.length {
			return 0, false
		}
		next++
		return o.seed + next - 1, true
	}
	var workers sync.WaitGroup
	for range max(o.workers, 1) {
		workers.Go(func() {
			for {
				seed, ok := take()
				if !ok {
					return
				}
				stats := sim.NewStats()
				hangs := watch(func(invariant string) {
					mu.Lock()
					defer mu.Unlock()
					fmt.Fprintf(out, "FAILED seed %d after %d schedules, %.1f s: %s\n", seed, total.Schedules+1, time.Since(begun).Seconds(), invariant)
				})
				s, f := sim.Run(seed, seed, o.cfg, stats)
				hangs.Stop()
				mu.Lock()
				total.Add(stats)
				if f != nil {
					if fails++; o.failures > 1 {
						fmt.Fprintf(out, "FAILED seed %d: %s\n", seed, f.Invariant)
					}
					if failed == nil || seed < failed.seed {
						failed = &failure{seed, s, f}
					}
				}
				mu.Unlock()
			}
		})
	}
	finished := make(chan struct{})
	go func() {
		workers.Wait()
		close(finished)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	terminal := isTerminal(os.Stderr)
	for running := true; running; {
		select {
		case <-finished:
			running = false
		case <-stop:
			mu.Lock()
			done = true
			mu.Unlock()
		case <-tick.C:
			if terminal && !o.quiet {
				mu.Lock()
				fmt.Fprintf(os.Stderr, "\r%d schedules, %.0f a second ", total.Schedules, float64(total.Schedules)/time.Since(begun).Seconds())
				mu.Unlock()
			}
		}
	}
	if terminal && !o.quiet {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	if failed != nil {
		failed.print(out, o, total.Schedules, time.Since(begun))
		return 1
	}
	if !o.quiet {
		report(out, o.seed, total, time.Since(begun))
	}
	if o.tally != "" {
		n, err := count(o.tally, run{o.seed, uint64(total.Schedules), o.kind()})
		if err != nil {
			fmt.Fprintln(os.Stderr, "tally:", err)
			return 2
		}
		fmt.Fprintf(out, "%s: %d schedules have passed\n", o.tally, n)
	}
	if missing := total.Missing(); o.expect && len(missing) > 0 {
		fmt.Fprintf(out, "never met: %q\n", missing)
		return 1
	}
	return 0
}

func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
