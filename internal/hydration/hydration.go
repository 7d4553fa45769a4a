// Package hydration decides which programs may bring bytes to this device, and remembers what they
// brought. A folder that shows every file of all devices invites whatever goes through all files: an
// indexer or a virus scanner would fill the cache with what nobody wanted.
//
// Gate is asked by package fs only for blocks that are not here. It finds out which program reads
// (process.go), takes the first rule about it (rule.go, table.go; the owner's go before), and answers:
// allow, allow without reading ahead (exact), allow so many bytes an hour (budget), or refuse.
//
// A program without a rule is let in. If it then brings many files within a minute, it sweeps
// (sweep.go): that is noted and told, with how to undo it, and nothing else unless the owner says so,
// because one who copies a folder means it. Programs that people run to copy whole folders are allowed
// by the table and never count as sweeping.
//
// All this is for convenience and no border of security: a program may take another's name. What the
// kernel reads ahead on its own, up to the width that the mount allows, it asks for in the name of the
// program, and cannot be told from what the program asked for: exact bounds what Shelf adds to it.
package hydration

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// Config makes a Gate. Clock, Processes and Log may be left out.
type Config struct {
	DB        *kv.DB
	Rules     []Rule // of the owner: they go before those of Defaults
	Sweep     Action // what becomes of a program without a rule once it sweeps; "": Allow
	Processes Processes
	Clock     func() time.Time
	Log       *slog.Logger
}

// Gate implements fs.Gate. Its methods may be called concurrently.
type Gate struct {
	cfg    Config
	rules  []Rule
	who    *whoIs
	ledger *Ledger

	awaited awaited

	mu      sync.Mutex // guards what follows, and all runs; never held across a look at a process or the disk
	runs    map[runKey]*run
	forgot  time.Time          // when runs that rest were dropped last
	budgets map[int]*allowance // by index of the rule
	refused refusals
}

var _ fs.Gate = (*Gate)(nil)

// Open returns a gate whose ledger lies in cfg.DB. Close it before the store.
func Open(cfg Config) (*Gate, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Processes == nil {
		cfg.Processes = System()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Sweep == "" {
		cfg.Sweep = Allow
	}
	l, err := openLedger(cfg.DB, cfg.Clock, cfg.Log)
	if err != nil {
		return nil, err
	}
	rules := append(append([]Rule(nil), cfg.Rules...), Defaults()...)
	return &Gate{cfg: cfg, rules: rules, ledger: l, who: newWhoIs(cfg.Processes, rules),
		awaited: awaited{by: map[blocks.Digest]expected{}}, runs: map[runKey]*run{}, budgets: map[int]*allowance{}, refused: refusals{}}, nil
}

// Close writes down what the ledger still holds in memory.
func (g *Gate) Close() error { return g.ledger.close() }

// Ledger is the record of what was brought.
func (g *Gate) Ledger() *Ledger { return g.ledger }

// Admit implements fs.Gate.
func (g *Gate) Admit(_ context.Context, r fs.Reader, a fs.Ask) (fs.Leave, error) {
	now := g.cfg.Clock()
	p := g.who.is(r.PID, now)
	g.mu.Lock()
	run := g.runOf(p, now)
	if err := run.vain.at(p.PID, a.Node, now); err != nil {
		g.mu.Unlock()
		return fs.Leave{}, err
	}
	verdict, reason := g.judge(run, a, now)
	swept := false
	if verdict != Refuse && run.rule < 0 && run.PID != 0 {
		swept = run.sweep.note(a.Node, a.Bytes, now)
	}
	if verdict == Refuse && !a.Ahead {
		g.refused.note(a.Node, Refusal{When: now, Program: p.shown(), PID: p.PID, Reason: reason})
	}
	wait, entry := g.wait(run), run.entry()
	g.mu.Unlock()

	if swept {
		g.cfg.Log.Warn("a program brings very many files to this device", "program", p.shown(), "pid", p.PID, "run", entry.Run,
			"undo", "shelf ledger undo", "stop", "[[policy]] in config.toml")
	}
	switch {
	case verdict == Refuse:
		if !a.Ahead {
			g.ledger.refuse(entry)
		}
		return fs.Leave{}, errs.E("hydration.Admit", errs.Withheld, "", errors.New(reason))
	case verdict == Exact && a.Ahead:
		return fs.Leave{}, errs.E("hydration.Admit", errs.Withheld, "", errors.New("no reading ahead for "+p.shown()))
	}
	g.awaited.add(entry, a, now)
	return fs.Leave{Wait: wait, Done: func(err error) { g.done(run, p.PID, entry, a, err) }}, nil
}

// judge is what the rule about a run says of an ask. What a budget allows is spent with it. g.mu is held.
func (g *Gate) judge(run *run, a fs.Ask, now time.Time) (Action, string) {
	if run.rule < 0 {
		if run.sweep.found && g.cfg.Sweep != Allow {
			return g.cfg.Sweep, run.Program + " goes through very many files"
		}
		return Allow, ""
	}
	rule := g.rules[run.rule]
	reason := run.Program + " is " + rule.what()
	switch rule.Action {
	case Budget:
		if a.Ahead {
			return Exact, ""
		}
		b := g.budgets[run.rule]
		if b == nil {
			b = &allowance{}
			g.budgets[run.rule] = b
		}
		if !b.spend(a.Bytes, rule.Bytes, now) {
			return Refuse, reason + ", and has brought what it may in an hour"
		}
		return Exact, ""
	}
	return rule.Action, reason
}

func (g *Gate) wait(run *run) time.Duration {
	if run.rule < 0 {
		return 0
	}
	return g.rules[run.rule].Wait
}

// done hears how an admitted ask ended.
func (g *Gate) done(run *run, pid uint32, e Entry, a fs.Ask, err error) {
	if err == nil {
		if a.Bytes > 0 {
			g.ledger.brought(e, a)
		}
		return
	}
	g.awaited.drop(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	if errs.Is(err, errs.Timeout) {
		now := g.cfg.Clock()
		run.vain = vain{pid: pid, node: a.Node, until: now.Add(vainTime), err: err}
		g.refused.note(a.Node, Refusal{When: now, Program: run.Program, PID: pid, Reason: "it did not come in the time that " + run.Program + " waits", Late: true})
	}
	if b := g.budgets[run.rule]; b != nil {
		b.spent = max(b.spent-a.Bytes, 0) // it did not come
	}
}

// Refused tells of the last time that a program was refused a file, or waited for it in vain; nil if
// none was lately.
func (g *Gate) Refused(id namespace.NodeID) *Refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r, ok := g.refused[id]; ok && g.cfg.Clock().Sub(r.When) < refusedTime {
		return &r
	}
	return nil
}

// Sweeps tells of programs that swept lately.
func (g *Gate) Sweeps() []Entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Entry
	for _, r := range g.runs {
		if r.sweep.found && g.cfg.Clock().Sub(r.sweep.when) < sweepTold {
			out = append(out, r.entry())
		}
	}
	return out
}
