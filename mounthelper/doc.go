// Package mounthelper prepares, checks and undoes mounts: it mends what a killed daemon
// left behind, refuses a mountpoint that holds something else with a reason, and names
// the programs that keep a mount busy. It does not serve anything (fs/fusefs does).
package mounthelper

import (
	"fmt"
	"strings"
)

// Type is the subtype under which Shelf's mounts appear in the mount table
// ("fuse.shelf" on Linux). Mounts of other types are never touched.
const Type = "shelf"

// State says what lies at a mountpoint.
type State uint8

const (
	Free  State = iota // nothing is mounted there
	Live               // a Shelf mount that answers
	Stale              // a Shelf mount whose daemon is gone
	Hung               // a Shelf mount that does not answer in time
	Other              // another filesystem is mounted exactly there
)

func (s State) String() string {
	switch s {
	case Free:
		return "free"
	case Live:
		return "mounted"
	case Stale:
		return "stale"
	case Hung:
		return "not answering"
	}
	return "another filesystem"
}

// Holder is a process that keeps a mount busy.
type Holder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"` // short name, as in ps
	How     string `json:"how"`     // "working directory", "open file", "mapped file", "root directory"
	Path    string `json:"path"`    // one example of what it holds
}

func (h Holder) String() string {
	return fmt.Sprintf("%s (pid %d, %s %s)", h.Command, h.PID, h.How, h.Path)
}

// Describe joins holders for a message: at most three, then "and n more".
func Describe(hs []Holder) string {
	const most = 3
	var parts []string
	for i, h := range hs {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(hs)-most))
			break
		}
		parts = append(parts, h.String())
	}
	return strings.Join(parts, ", ")
}
