//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const moves = 20

// move is the time from the return of a rename of one large folder on a until b shows it, whose kernel knows
// every entry each time: the old name is gone, and a file in the folder is there by the new one.
func move(s *stage) ([]row, error) {
	name := func(i int) string { return fmt.Sprintf("moved-%d", i) }
	if err := fill(filepath.Join(s.a.mnt, name(0)), s.entries); err != nil {
		return nil, err
	}
	last := entryName(s.entries - 1)
	if !within(2*time.Minute, func() bool { return there(filepath.Join(s.b.mnt, name(0), last)) }) {
		return nil, fmt.Errorf("%s did not appear", last)
	}
	var ms []float64
	for i := range moves {
		if err := ls(filepath.Join(s.b.mnt, name(i)), s.entries); err != nil {
			return nil, err
		}
		if err := os.Rename(filepath.Join(s.a.mnt, name(i)), filepath.Join(s.a.mnt, name(i+1))); err != nil {
			return nil, err
		}
		begun := time.Now()
		old, now := filepath.Join(s.b.mnt, name(i)), filepath.Join(s.b.mnt, name(i+1), last)
		if !within(changesLimit, func() bool { return there(now) && gone(old) }) {
			return nil, fmt.Errorf("%s does not show", now)
		}
		ms = append(ms, time.Since(begun).Seconds()*1000)
	}
	sync, err := dataSyncs(s.plain, moves)
	return []row{{
		work: fmt.Sprintf("shows on the other device: rename of %d entries", s.entries), unit: "ms", ours: median(ms),
		limit: median(sync), what: "one fdatasync of 4 KiB",
		note: fmt.Sprintf("p99 %s ms, the limit's %s", number(percentile(ms, 0.99)), number(percentile(sync, 0.99))),
	}}, err
}
