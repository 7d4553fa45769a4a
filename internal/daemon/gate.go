package daemon

import (
	"context"
	"fmt"
	"strconv"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/hydration"
	"github.com/shelffs/shelf/internal/namespace"
)

// openGate opens what decides which programs may bring bytes here.
func (p *parts) openGate(s config.Start) (err error) {
	rules := make([]hydration.Rule, len(s.Policies))
	for i, q := range s.Policies {
		rules[i] = hydration.Rule{Program: q.Program, Action: hydration.Action(q.Action), Bytes: q.Bytes, Wait: q.Wait}
	}
	p.gate, err = hydration.Open(hydration.Config{DB: p.meta, Rules: rules, Sweep: hydration.Action(s.Sweep), Log: p.log})
	if err != nil {
		return err
	}
	p.senders.gate.Store(p.gate)
	p.onClose(func(context.Context) error { return p.gate.Close() })
	return nil
}

// withheld says that a program was refused a file of late, or waited for it in vain, and what a
// person can do; "" if none was.
func (p *parts) withheld(id namespace.NodeID) (reason string, hints []string) {
	r := p.gate.Refused(id)
	if r == nil {
		return "", nil
	}
	did, help := "was refused it", `to let it, in config.toml: [[policy]] program = %q, action = "allow"`
	if r.Late {
		did, help = "did not get it", `to have it wait longer, in config.toml: [[policy]] program = %q, action = "allow", wait = "1m"`
	}
	return fmt.Sprintf("; %s (pid %d) %s at %s: %s", r.Program, r.PID, did, r.When.Format("15:04:05"), r.Reason), []string{fmt.Sprintf(help, r.Program)}
}

// sweepWarnings tell of programs that brought very many files lately, which nothing is said about.
func (d *daemon) sweepWarnings() (out []string) {
	for _, e := range d.gate.Sweeps() {
		out = append(out, e.Program+" (pid "+strconv.FormatUint(uint64(e.PID), 10)+") goes through very many files and brings them to this device. To see them: shelf ledger; to free them: shelf ledger undo "+
			strconv.FormatUint(e.Run, 10)+"; to refuse it: [[policy]] in config.toml.")
	}
	return out
}
