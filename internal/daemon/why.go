package daemon

import (
	"context"
	"strings"

	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/namespace"
)

// Why implements control.Reporter.
func (d *daemon) Why(ctx context.Context, path string) (controlapi.Why, error) {
	path = d.fs.Spell(path)
	e, err := d.resolve(path)
	if err != nil {
		return controlapi.Why{}, err
	}
	w := controlapi.Why{Path: path, Here: true, Holders: []controlapi.Copy{}, Hints: []string{}}
	w.Heat, w.Kept = d.heatOf(e.ID)
	for _, e := range d.placement.Files(e.ID) {
		if err := ctx.Err(); err != nil {
			return w, err
		}
		f := d.localFile(ctx, e)
		if f.complete {
			continue
		}
		w.Missing += int64(e.Content.Size) - f.plain
		for _, g := range f.blocks {
			s, ok := d.fetcher.Status(g)
			w.Waiting = w.Waiting || ok && s.Priority.Urgent()
		}
		if !w.Here {
			continue
		}
		w.Here = false // the first file that is not here explains
		w.Reason, w.Holders, w.Hints = d.explain(ctx, f)
	}
	return w, nil
}

// whyNode is the reason in one sentence, for the extended attribute: "" when all is here.
func (p *parts) whyNode(ctx context.Context, id namespace.NodeID) string {
	for _, e := range p.placement.Files(id) {
		if f := p.localFile(ctx, e); !f.complete {
			reason, _, _ := p.explain(ctx, f)
			return reason
		}
	}
	return ""
}

// explain says why a file is not (all) here, who has it, and what a person can do.
func (p *parts) explain(ctx context.Context, f localFile) (reason string, holders []controlapi.Copy, hints []string) {
	holders = p.copies(ctx, f)
	p.nearestFirst(holders)
	var near, away []string
	for _, c := range holders {
		switch {
		case c.Self:
		case c.Connected:
			near = append(near, c.Name)
		default:
			away = append(away, c.Name)
		}
	}
	some := "is not on this device"
	if f.plain > 0 {
		some = "is only partly on this device"
	}
	refused, help := p.withheld(f.entry.ID)
	pin, now := p.pinWaits(ctx, f.entry.ID)
	refused, help = refused+pin, append(help, now...)
	defer func() { reason, hints = reason+refused, append(hints, help...) }()
	waits := ""
	for _, d := range f.blocks {
		// What is only read ahead goes on for a while after its reader was refused: nobody waits for it.
		if s, ok := p.fetcher.Status(d); ok && s.Priority != fetch.ReadAhead {
			waits = "; " + p.fetcher.Why(d)
			break
		}
	}
	if reason, hints := p.lostReason(f); reason != "" && len(near) == 0 {
		return reason, holders, hints
	}
	switch {
	case len(near) > 0:
		return "it " + some + "; it comes from " + strings.Join(near, ", else from ") + " when it is opened" + waits, holders, []string{"to keep it here: shelf pin"}
	case len(away) > 0:
		return "it " + some + "; " + list(away) + " has it, and is not connected", holders, []string{"switch on " + list(away) + ", or bring it to the same network"}
	}
	writer := p.account.Name(f.entry.Writer)
	if f.entry.Writer == p.self() {
		return "it " + some + ", and no connected device has it" + waits, holders, []string{"switch on the other devices"}
	}
	return "it " + some + "; " + writer + " wrote it, and no connected device has it" + waits, holders, []string{"switch on " + writer}
}

func list(names []string) string { return strings.Join(names, " or ") }
