package heat

import (
	"maps"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// wishes lists the automatic files that are hot, here or on another device of this network.
func (e *Engine) wishes() []wish {
	all, near := e.cfg.Meter.All(), e.cfg.Device.Near()
	own, freed, was := map[namespace.NodeID]float64{}, map[namespace.NodeID]bool{}, map[namespace.NodeID]bool{}
	folder := map[namespace.NodeID]float64{} // heat of all files in it
	entries := map[namespace.NodeID]namespace.Entry{}
	look := func(n namespace.NodeID) (namespace.Entry, bool) {
		ent, ok := entries[n]
		if !ok {
			var err error
			if ent, err = e.cfg.Names.Get(n); err != nil {
				return ent, false
			}
			entries[n] = ent
		}
		return ent, ent.Kind == namespace.File
	}
	for _, f := range all {
		own[f.Node], freed[f.Node], was[f.Node] = f.Heat, f.Freed, f.kept
		if ent, ok := look(f.Node); ok {
			folder[ent.Parent] += f.Heat
		}
	}
	e.mu.Lock()
	elsewhere := e.elsewhereLocked(near)
	candidates := map[namespace.NodeID]bool{}
	for _, names := range []func(func(namespace.NodeID) bool){maps.Keys(own), maps.Keys(e.news), maps.Keys(elsewhere)} {
		for n := range names {
			candidates[n] = true
		}
	}
	for n := range e.chosen {
		candidates[n] = true
	}
	e.mu.Unlock()
	var out []wish
	for n := range candidates {
		ent, ok := look(n)
		if !ok || freed[n] || !e.automatic(n) {
			continue
		}
		w := wish{node: n, size: int64(ent.Content.Size), heat: warmth(own[n], folder[ent.Parent]), was: was[n]}
		if w.heat < hotFrom && !(w.was && w.heat >= hotUntil) {
			if w.near = elsewhere[n] > 0; !w.near {
				continue
			}
		}
		w.heat = max(w.heat, elsewhere[n])
		out = append(out, w)
	}
	return out
}

// elsewhereLocked is the heat of files on devices that are near, as they said it. e.mu is held.
func (e *Engine) elsewhereLocked(near []ident.DeviceID) map[namespace.NodeID]float64 {
	out := map[namespace.NodeID]float64{}
	for dev, h := range e.sets {
		if time.Since(h.when) > forgetAfter {
			delete(e.sets, dev)
			continue
		}
		if !slices.Contains(near, dev) {
			continue
		}
		for n, l := range h.set {
			out[n] = max(out[n], l.heat())
		}
	}
	return out
}

// automatic reports whether nobody has said where a file is to be.
func (e *Engine) automatic(n namespace.NodeID) bool {
	eff, _, err := e.cfg.Names.Placement(n, e.cfg.Self)
	return err == nil && eff != namespace.Pinned && eff != namespace.Cloud
}

// wanted looks once more at a file that was chosen: the rounds before it may have taken a while.
func (e *Engine) wanted(w wish) (ent namespace.Entry, why Reason, ok bool) {
	ent, err := e.cfg.Names.Get(w.node)
	if err != nil || ent.Kind != namespace.File || ent.Content.Root.IsZero() || int64(ent.Content.Size) > 2*w.size+smallFile || !e.automatic(w.node) {
		return ent, why, false
	}
	if w.near {
		why = UsedElsewhere
	}
	return ent, why, true
}

// smallFile is so small that it does not matter for the budget by how much it grew since it was chosen.
const smallFile = 1 << 20

// Kept tells whether a file is among those that are kept because of their heat, and why.
func (e *Engine) Kept(n namespace.NodeID) (why Reason, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, ok := e.chosen[n]
	return k.why, ok
}

// Known lists the files that have heat here, and those that are kept for their heat elsewhere.
func (e *Engine) Known() []File {
	out := e.cfg.Meter.All()
	has := map[namespace.NodeID]bool{}
	for _, f := range out {
		has[f.Node] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for n := range e.chosen {
		if !has[n] {
			out = append(out, File{Node: n, Ago: Never})
		}
	}
	return out
}

// Stats sums up what is kept.
type Stats struct {
	Files int
	Bytes int64 // their sizes
	Room  int64 // of so many
}

// Stats tells how many files are kept.
func (e *Engine) Stats() (s Stats) {
	s.Room = e.cfg.Device.Room()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, k := range e.chosen {
		s.Files, s.Bytes = s.Files+1, s.Bytes+k.size
	}
	return s
}
