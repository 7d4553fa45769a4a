package daemon

import (
	"cmp"
	"context"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/heat"
	"github.com/shelffs/shelf/internal/namespace"
)

// heatOf is the heat of a file on this device, and why it is kept though nobody pinned it: "" if it is not.
func (p *parts) heatOf(id namespace.NodeID) (h float64, kept string) {
	if p.warm.meter == nil {
		return 0, ""
	}
	if why, ok := p.warm.engine.Kept(id); ok {
		kept = p.keptFor(id, why)
	}
	return tidy(p.warm.meter.Of(id).Heat), kept
}

// tidy leaves of a heat what is worth printing.
func tidy(h float64) float64 { return math.Round(h*100) / 100 }

func (p *parts) keptFor(id namespace.NodeID, why heat.Reason) string {
	if why == heat.UsedHere {
		return "used here"
	}
	if dev, h := p.warm.engine.Elsewhere(id); h > 0 {
		return "used on " + p.account.Name(dev)
	}
	return "used on another device"
}

// heatStatus sums up what is kept because it is used; nil where that is off.
func (p *parts) heatStatus() *controlapi.HeatStatus {
	if p.warm.engine == nil {
		return nil
	}
	s := p.warm.engine.Stats()
	return &controlapi.HeatStatus{Budget: p.warm.budget, Room: s.Room, Files: int64(s.Files), Bytes: s.Bytes}
}

// Heat implements control.Accountant.
func (d *daemon) Heat(ctx context.Context, req controlapi.HeatRequest) (controlapi.Heat, error) {
	out := controlapi.Heat{Files: []controlapi.HeatItem{}, Folders: []controlapi.HeatItem{}, Status: d.heatStatus()}
	root, err := d.resolve(cmp.Or(req.Path, "/"))
	if err != nil || out.Status == nil {
		return out, err
	}
	at, err := d.names.Path(root.ID)
	if err != nil {
		return out, err
	}
	at = "/" + at
	folders := map[string]*controlapi.HeatItem{}
	for _, f := range d.warm.engine.Known() {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if item, ok := d.heatItem(ctx, f); ok && within(item.Path, at) {
			out.Files = append(out.Files, item)
			if item.Heat > 0 {
				addFolders(folders, item, at)
			}
		}
	}
	for _, f := range folders {
		f.Heat = tidy(f.Heat)
		out.Folders = append(out.Folders, *f)
	}
	byHeat := func(a, b controlapi.HeatItem) int {
		return cmp.Or(cmp.Compare(b.Heat, a.Heat), cmp.Compare(a.Path, b.Path))
	}
	slices.SortFunc(out.Files, byHeat)
	slices.SortFunc(out.Folders, byHeat)
	return out, nil
}

// heatItem describes a file; not one that is gone, or of which nothing but a mark is left.
func (d *daemon) heatItem(ctx context.Context, f heat.File) (item controlapi.HeatItem, ok bool) {
	e, err := d.names.Get(f.Node)
	if err != nil || e.Kind != namespace.File {
		return item, false
	}
	name, err := d.names.Path(f.Node)
	item.Path = "/" + name
	if item.Heat, item.Kept = d.heatOf(f.Node); err != nil || item.Heat == 0 && item.Kept == "" {
		return item, false
	}
	if f.Ago != heat.Never {
		item.Used = new(time.Now().Add(-f.Ago))
	}
	item.Placement, _ = d.placementOf(f.Node)
	_, item.Complete, _ = d.local(ctx, e.Content)
	return item, true
}

// within reports whether a path lies at or below another.
func within(name, at string) bool {
	return at == "/" || name == at || strings.HasPrefix(name, at+"/")
}

// addFolders adds a file's heat to the folders above it, up to the one at.
func addFolders(folders map[string]*controlapi.HeatItem, file controlapi.HeatItem, at string) {
	for dir := path.Dir(file.Path); within(dir, at); dir = path.Dir(dir) {
		f := folders[dir]
		if f == nil {
			f = &controlapi.HeatItem{Path: dir, Complete: true}
			folders[dir] = f
		}
		f.Heat += file.Heat
		f.Complete = f.Complete && file.Complete
		if file.Used != nil && (f.Used == nil || file.Used.After(*f.Used)) {
			f.Used = file.Used
		}
		if dir == "/" {
			return
		}
	}
}
