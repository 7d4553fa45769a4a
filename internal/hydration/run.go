package hydration

import (
	"time"

	"github.com/shelffs/shelf/internal/namespace"
)

// restTime is after how long without bringing anything a program's next wish begins another run.
const restTime = 5 * time.Minute

// runKey names a run: all processes of one name that one parent started count as one, so that
// `find -exec cat` is one run and not a thousand.
type runKey struct {
	name   string
	parent uint32
}

// run is what one program does until it rests.
type run struct {
	id      uint64
	Program string
	PID     uint32 // of the first process
	parent  string
	rule    int // index of the rule about it, -1: none
	action  Action
	last    time.Time
	sweep   sweep
	vain    vain
}

// runOf is the run of a process. g.mu is held.
func (g *Gate) runOf(k known, now time.Time) *run {
	key := runKey{k.shown(), k.Parent}
	r := g.runs[key]
	if r == nil || now.Sub(r.last) > restTime || r.rule != k.rule {
		g.forget(now)
		r = &run{id: g.ledger.next(), Program: k.shown(), PID: k.PID, parent: k.parent, rule: k.rule, action: Allow}
		if k.rule >= 0 {
			r.action = g.rules[k.rule].Action
		}
		g.runs[key] = r
	}
	r.last = now
	return r
}

// forget drops the runs that rest, but for those that are still to be told of. A build starts thousands
// of programs, so it looks at all only once a while. g.mu is held.
func (g *Gate) forget(now time.Time) {
	if now.Sub(g.forgot) < restTime {
		return
	}
	g.forgot = now
	for at, r := range g.runs {
		if now.Sub(r.last) > restTime && !(r.sweep.found && now.Sub(r.sweep.when) < sweepTold) {
			delete(g.runs, at)
		}
	}
}

// entry is how the ledger names the run. g.mu is held.
func (r *run) entry() Entry {
	return Entry{Run: r.id, Program: r.Program, PID: r.PID, Parent: r.parent, Action: r.action, Sweep: r.sweep.found}
}

// vainTime is for how long a wait that ended in vain answers for the next: a kernel whose read-ahead
// failed asks once more for the page that its reader is at, which would wait twice.
const vainTime = 2 * time.Second

type vain struct {
	pid   uint32
	node  namespace.NodeID
	until time.Time
	err   error
}

func (v vain) at(pid uint32, id namespace.NodeID, now time.Time) error {
	if v.err != nil && v.pid == pid && v.node == id && now.Before(v.until) {
		return v.err
	}
	return nil
}

// refusedTime is how long it is told that a program was refused a file, and maxRefused of how many.
const (
	refusedTime = 24 * time.Hour
	maxRefused  = 1024
)

// Refusal tells that a program was refused a file, or waited for it in vain.
type Refusal struct {
	When    time.Time
	Program string
	PID     uint32
	Reason  string
	Late    bool // it waited in vain
}

// refusals are the last ones, by file.
type refusals map[namespace.NodeID]Refusal

func (rs refusals) note(id namespace.NodeID, r Refusal) {
	if _, ok := rs[id]; !ok && len(rs) >= maxRefused {
		var oldest namespace.NodeID
		first := true
		for at, old := range rs {
			if first || old.When.Before(rs[oldest].When) {
				oldest, first = at, false
			}
		}
		delete(rs, oldest)
	}
	rs[id] = r
}
