package sim

import (
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/namespace"
)

// Config says what a simulation does beyond the plain.
type Config struct {
	Check     int  // every step is checked on one schedule in so many; 0: 32
	Raw       bool // images are made amid work, too
	Unnoticed bool // disks are put back that look like those that were there
	NoRestore bool // images of disks are never put back
	Forks     bool // histories of a log that has forked
	Narrow    bool // short histories of two or three devices that work on one conflict, cut sessions and are put back
	Newcomer  bool // an empty device joins at the end of each schedule, not only of those checked
}

// Stats says what was met, so that what never occurs can be seen.
type Stats struct {
	Schedules int
	Steps     int
	Sessions  int
	Cut       int            // sessions that did not end
	Ops       map[string]int // steps by operation
	Met       map[string]int // steps or schedules at which something rare was there
}

// NewStats returns empty ones.
func NewStats() *Stats { return &Stats{Ops: map[string]int{}, Met: map[string]int{}} }

// Add adds o to s.
func (s *Stats) Add(o *Stats) {
	s.Schedules += o.Schedules
	s.Steps += o.Steps
	s.Sessions += o.Sessions
	s.Cut += o.Cut
	for k, n := range o.Ops {
		s.Ops[k] += n
	}
	for k, n := range o.Met {
		s.Met[k] += n
	}
}

// Expected is what every simulation of some thousand schedules must have met.
func Expected() []string {
	return []string{"merged directories", "cuts", "removed directories shown", "virtual copies", "displaced files", "twins", "hard links", "nameless files",
		"bad frames refused", "power failures amid an operation", "collections of something",
		"restored disks", "audits", "audits that dropped something", "copied disks", "devices without keys compared", "lies", "members who joined", "members who left",
		"power failures before a flush", "sessions amid another"}
}

// Missing lists operations and rarities that never occurred.
func (s *Stats) Missing() (out []string) {
	for _, op := range slices.Sorted(maps.Keys(operations)) {
		if s.Ops[op] == 0 && op != "shows" && op != "none" && op != "count" && op != "mtime" { // those are for cases
			out = append(out, op)
		}
	}
	for _, m := range Expected() {
		if s.Met[m] == 0 {
			out = append(out, m)
		}
	}
	return out
}

func (s *Stats) session(complete bool) {
	s.Sessions++
	if !complete {
		s.Cut++
	}
}

func (s *Stats) shape(x namespace.Shape) {
	for what, n := range map[string]int{"merged directories": x.Merged, "cuts": x.Cuts, "removed directories shown": x.Revenants,
		"virtual copies": x.Copies, "displaced files": x.Displaced, "twins": x.Twins, "hard links": x.Links,
		"nameless files": x.Nameless} {
		if n > 0 {
			s.Met[what]++
		}
	}
}
