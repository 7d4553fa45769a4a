package hydration

import (
	"path"
	"strings"
	"time"
)

// Action is what becomes of a program's wish for bytes that are not here.
type Action string

const (
	Allow  Action = "allow"
	Exact  Action = "exact"  // what it reads and nothing ahead of it
	Budget Action = "budget" // exact, and so many bytes an hour; then refuse
	Refuse Action = "refuse"
)

// Rule is about all programs that bear a name.
type Rule struct {
	Program string // a name or a pattern with * and ?: "updatedb", "tracker-*"
	Action  Action
	Bytes   int64         // Budget: an hour, for all programs that the rule is about together
	Wait    time.Duration // how long a read waits at most; 0: as long as for anybody
	Kind    string        // for people, "a file indexer"; "" where the owner made the rule

	// Recursive has the rule be about a program only when its arguments say that it goes
	// through folders.
	Recursive bool
}

// what says for a person what the rule takes a program for, and what it does.
func (r Rule) what() string {
	does := map[Action]string{Allow: "allowed to", Exact: "let in for what it reads only", Budget: "on a budget", Refuse: "refused what is not on this device"}[r.Action]
	if r.Kind == "" {
		return does + " by the settings of this device"
	}
	return r.Kind + ", and " + does
}

// about reports whether the rule is about a program; args are asked for only if it matters.
func (r Rule) about(p Process, args func() []string) bool {
	if !like(r.Program, p.Exe) && !like(r.Program, p.Name) {
		return false
	}
	return !r.Recursive || recursive(args())
}

// nameLen is how much of a name a kernel keeps.
const nameLen = 15

// like reports whether a name fits a pattern; the kernel may have cut the name.
func like(pattern, name string) bool {
	if name == "" {
		return false
	}
	if ok, err := path.Match(pattern, name); ok && err == nil {
		return true
	}
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		pattern = pattern[:i]
	}
	return len(name) == nameLen && len(pattern) > nameLen && pattern[:nameLen] == name
}

// recursive reports whether arguments as grep has them say that it goes through folders.
func recursive(args []string) bool {
	if len(args) == 0 {
		return false
	}
	if path.Base(args[0]) == "rgrep" {
		return true
	}
	for i, a := range args[1:] {
		switch {
		case a == "--":
			return false
		case a == "--recursive", a == "--dereference-recursive", a == "--directories=recurse", a == "-drecurse":
			return true
		case a == "-d" && i+2 < len(args) && args[i+2] == "recurse":
			return true
		case len(a) > 1 && a[0] == '-' && a[1] != '-' && flagOf(a[1:]):
			return true
		}
	}
	return false
}

// flagOf reports whether one of some flags of grep in a word is r or R; what follows a flag that
// takes a value is that value.
func flagOf(word string) bool {
	for _, c := range word {
		switch {
		case c == 'r' || c == 'R':
			return true
		case strings.ContainsRune("ABCDXefm", c):
			return false
		}
	}
	return false
}

// allowance is what a budget has left.
type allowance struct {
	begun time.Time
	spent int64
}

// spend takes n bytes of an hour's limit, unless it is used up. The last ask may go over it: a block is
// brought whole or not at all.
func (a *allowance) spend(n, limit int64, now time.Time) bool {
	if now.Sub(a.begun) >= time.Hour {
		a.begun, a.spent = now, 0
	}
	if a.spent >= limit {
		return false
	}
	a.spent += n
	return true
}
