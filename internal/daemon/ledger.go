package daemon

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/hydration"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// Ledger implements control.Accountant.
func (d *daemon) Ledger(ctx context.Context, req controlapi.LedgerRequest) (controlapi.Ledger, error) {
	if _, err := path.Match(req.Program, ""); err != nil {
		return controlapi.Ledger{}, errs.E("daemon.Ledger", errs.Invalid, "program "+req.Program, err)
	}
	below := ""
	if req.Path != "" {
		e, err := d.resolve(req.Path)
		if err != nil {
			return controlapi.Ledger{}, err
		}
		if below, err = d.names.Path(e.ID); err != nil {
			return controlapi.Ledger{}, err
		}
	}
	byRun := map[uint64]*controlapi.LedgerRun{}
	err := d.gate.Ledger().Each(func(e hydration.Entry) {
		ok, _ := path.Match(req.Program, e.Program)
		if req.Program != "" && !ok && req.Program != e.Program || req.Since > 0 && time.Since(e.Last) > req.Since {
			return
		}
		at := ""
		if !e.Node.IsZero() {
			at, _ = d.names.Path(e.Node)
		}
		if below != "" && at != below && !strings.HasPrefix(at, below+"/") {
			return
		}
		d.addEntry(byRun, e, at)
	})
	if err != nil {
		return controlapi.Ledger{}, err
	}
	out := controlapi.Ledger{Runs: []controlapi.LedgerRun{}}
	for _, r := range byRun {
		slices.SortFunc(r.Items, func(a, b controlapi.LedgerItem) int { return cmp.Compare(a.Path, b.Path) })
		out.Runs = append(out.Runs, *r)
	}
	slices.SortFunc(out.Runs, func(a, b controlapi.LedgerRun) int { return cmp.Compare(b.Run, a.Run) })
	return out, ctx.Err()
}

// addEntry adds one entry, of the file at the given path, to its run.
func (d *daemon) addEntry(byRun map[uint64]*controlapi.LedgerRun, e hydration.Entry, at string) {
	r := byRun[e.Run]
	if r == nil {
		r = &controlapi.LedgerRun{Run: e.Run, Program: e.Program, PID: e.PID, Parent: e.Parent, Action: string(e.Action), First: e.First, Last: e.Last, Items: []controlapi.LedgerItem{}, From: []controlapi.LedgerSource{}}
		byRun[e.Run] = r
	}
	r.Sweep = r.Sweep || e.Sweep
	if e.First.Before(r.First) {
		r.First = e.First
	}
	if e.Last.After(r.Last) {
		r.Last = e.Last
	}
	r.Refused += int64(e.Refused)
	if e.Node.IsZero() {
		return
	}
	r.Files, r.Read, r.Ahead, r.Pinned = r.Files+1, r.Read+e.Read, r.Ahead+e.Ahead, r.Pinned+e.Pinned
	if at != "" {
		at = "/" + at
	}
	r.Items = append(r.Items, controlapi.LedgerItem{Path: at, Read: e.Read, Ahead: e.Ahead, Pinned: e.Pinned, First: e.First, Last: e.Last, From: d.sources(nil, e.From)})
	r.From = d.sources(r.From, e.From)
}

// sources adds what devices sent to what is known, the most first.
func (d *daemon) sources(known []controlapi.LedgerSource, more map[ident.DeviceID]int64) []controlapi.LedgerSource {
	out := append([]controlapi.LedgerSource{}, known...)
	for dev, n := range more {
		id := dev.String()
		i := slices.IndexFunc(out, func(s controlapi.LedgerSource) bool { return s.Device == id })
		if i < 0 {
			i, out = len(out), append(out, controlapi.LedgerSource{Device: id, Name: d.account.Name(dev)})
		}
		out[i].Bytes += n
	}
	slices.SortFunc(out, func(a, b controlapi.LedgerSource) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Device, b.Device))
	})
	return out
}

// UndoRun implements control.Accountant. What was merely fetched may go at any time, so nobody is asked.
func (d *daemon) UndoRun(ctx context.Context, req controlapi.UndoRunRequest) (controlapi.RunUndone, error) {
	out := controlapi.RunUndone{Run: req.Run}
	var nodes []namespace.NodeID
	err := d.gate.Ledger().Of(req.Run, func(e hydration.Entry) {
		out.Program = e.Program
		if !e.Node.IsZero() {
			nodes = append(nodes, e.Node)
		}
	})
	if err == nil && out.Program == "" {
		err = controlapi.E("not_exist", "see: shelf ledger", "there is no run %d", req.Run)
	}
	if err != nil {
		return out, err
	}
	for _, id := range nodes {
		for _, e := range d.placement.Files(id) {
			d.unwarm(e.ID)
			if err := d.dropFetched(ctx, e, &out); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// dropFetched lets go of the blocks of a file that are here only because somebody read them.
func (d *daemon) dropFetched(ctx context.Context, e namespace.Entry, out *controlapi.RunUndone) error {
	freed, kept := int64(0), false
	_, _, ds := d.local(ctx, e.Content)
	seen := map[digest]bool{}
	for _, g := range ds {
		if seen[g] || !d.here(g) {
			continue
		}
		seen[g] = true
		n, err := d.cache.Size(g)
		if err != nil {
			continue // it went by itself
		}
		if err := d.cache.Drop(ctx, g); err != nil {
			return err
		}
		if c, err := d.cache.Class(g); err == nil && c != cache.None {
			kept = true
			continue
		}
		freed++
		out.FreedBytes += int64(n)
	}
	out.FreedBlocks += freed
	if freed > 0 {
		out.Files++
	}
	if kept {
		out.KeptFiles++
	}
	return nil
}
