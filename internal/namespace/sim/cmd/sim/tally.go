package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// A tally is a file with a line for each run that passed: the first seed, how many schedules,
// and what kind they were of. So a million can be played in pieces, one after the other or on
// several machines: the files are joined by cat. What was played twice counts once.

// run is a line of a tally.
type run struct {
	from, n uint64
	kind    string
}

// kind is what the seeds of a run mean: the flags that change schedules.
func (o *options) kind() string {
	kind := fmt.Sprintf("check=%d,norestore=%t,raw=%t,unnoticed=%t", o.cfg.Check, o.cfg.NoRestore, o.cfg.Raw, o.cfg.Unnoticed)
	switch {
	case o.cfg.Narrow:
		kind += ",narrow"
	case o.cfg.Forks:
		kind += ",forks"
	}
	return kind
}

// count adds a run to the file and returns how many schedules it says have passed.
func count(file string, x run) (total uint64, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintf(f, "%d %d %s\n", x.from, x.n, x.kind)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	runs, err := readTally(file)
	return distinct(runs), err
}

func readTally(file string) (runs []run, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var x run
		if _, err := fmt.Sscan(lines.Text(), &x.from, &x.n, &x.kind); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", file, lines.Text(), err)
		}
		runs = append(runs, x)
	}
	return runs, lines.Err()
}

// distinct is how many different schedules the runs have.
func distinct(runs []run) (n uint64) {
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(a, b run) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.from, b.from)) })
	var upto uint64 // counted, of this kind
	for i, x := range runs {
		if i == 0 || x.kind != runs[i-1].kind {
			upto = 0
		}
		if end := x.from + x.n; end > upto {
			n += end - max(upto, x.from)
			upto = end
		}
	}
	return n
}
