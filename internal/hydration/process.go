package hydration

import (
	"cmp"
	"strings"
	"sync"
	"time"
)

// Process is a program at work, as the system tells.
type Process struct {
	PID    uint32 // 0: not known
	Start  uint64 // tells two of one PID apart; in a unit of the system's
	Exe    string // name of the file that runs; "" where the system does not tell
	Name   string // what it is called: that of the script, for one
	Parent uint32 // 0: not known
}

// Processes looks them up. The methods must be quick and not wait for a filesystem of ours.
type Processes interface {
	// Look finds a process by its PID, or by that of one of its threads.
	Look(pid uint32) (Process, bool)
	// Args are a process's arguments, its name first.
	Args(pid uint32) []string
}

// shown is the name for people: the system cuts the one that a program gives itself.
func (p Process) shown() string {
	if p.PID == 0 {
		return Unknown
	}
	if strings.HasPrefix(p.Exe, p.Name) {
		return p.Exe
	}
	return cmp.Or(p.Name, p.Exe, Unknown)
}

// Unknown is the name of a program that the system does not tell.
const Unknown = "(unknown)"

// lookTime is how long an answer counts. A PID is not given to another process, and a process does not
// become another program, often enough for it to matter.
const lookTime = time.Second

// maxSeen bounds what is remembered of threads.
const maxSeen = 1024

// maxUp is how far up a program's ancestors are looked for one that is refused.
const maxUp = 4

// known is a process with what the rules say of it.
type known struct {
	Process
	parent string // name of the parent
	rule   int    // index of the rule about it, -1: none
	until  time.Time
}

// whoIs remembers for a moment who reads, so that a reader of many blocks is looked up seldom.
type whoIs struct {
	from  Processes
	rules []Rule

	mu   sync.Mutex
	seen map[uint32]known // by PID of the thread
}

func newWhoIs(from Processes, rules []Rule) *whoIs {
	return &whoIs{from: from, rules: rules, seen: map[uint32]known{}}
}

// is looks up a reader. One that is not found is unknown.
func (w *whoIs) is(pid uint32, now time.Time) known {
	if pid == 0 {
		return known{rule: -1}
	}
	w.mu.Lock()
	k, ok := w.seen[pid]
	w.mu.Unlock()
	if ok && now.Before(k.until) {
		return k
	}
	k = known{rule: -1}
	if p, ok := w.from.Look(pid); ok {
		k.Process = p
		k.rule, k.parent = w.judge(p)
	}
	k.until = now.Add(lookTime)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) >= maxSeen {
		clear(w.seen)
	}
	w.seen[pid] = k
	return k
}

// judge finds the rule about a process. What is refused to a program is refused to those that it
// starts, unless they have a rule of their own: an indexer has helpers, a backup tool runs others.
func (w *whoIs) judge(p Process) (rule int, parent string) {
	rule = w.about(p)
	for range maxUp {
		if p.Parent <= 1 {
			break
		}
		up, ok := w.from.Look(p.Parent)
		if !ok {
			break
		}
		if parent == "" {
			parent = up.shown()
		}
		if rule >= 0 {
			break
		}
		if i := w.about(up); i >= 0 && w.rules[i].Action == Refuse {
			rule = i
		}
		p = up
	}
	return rule, parent
}

func (w *whoIs) about(p Process) int {
	for i, r := range w.rules {
		if r.about(p, func() []string { return w.from.Args(p.PID) }) {
			return i
		}
	}
	return -1
}
