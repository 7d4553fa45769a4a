package placement

import (
	"context"
	"maps"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// Progress of a Pin. Totals grow until all is known.
type Progress struct {
	Files, TotalFiles   int64
	Blocks, TotalBlocks int64
	Bytes               int64                    // sealed bytes that arrived
	From                map[ident.DeviceID]int64 // of Bytes, what each device sent, as far as it is known
}

// Files lists the regular files at and below n.
func (e *Engine) Files(n namespace.NodeID) []namespace.Entry {
	var out []namespace.Entry
	e.pins.below(n, func(ns ...namespace.NodeID) {
		for _, n := range ns {
			if n.IsDir() {
				continue
			}
			if ent, err := e.cfg.Names.Get(n); err == nil && ent.Kind == namespace.File {
				out = append(out, ent)
			}
		}
	})
	return out
}

// Pin makes n, and everything that is or comes below it, stay on this device. With wait it
// returns when everything is here: Offline, Timeout, NoSpace … say what could not be had, and
// the wish stands all the same. NoSpace also when the cache's limit, the quota or the disk leaves no
// room for it (see NoRoom): then nothing was changed.
func (e *Engine) Pin(ctx context.Context, n namespace.NodeID, wait bool, progress func(Progress)) error {
	files := e.Files(n)
	if err := e.room(ctx, ForPin, files); err != nil {
		return err
	}
	if err := e.clearBelow(n); err != nil {
		return err
	}
	if err := e.cfg.Names.SetPlacement(n, e.cfg.Self, namespace.Pinned); err != nil {
		return err
	}
	if !wait {
		e.pins.placementChanged(n)
		return nil
	}
	t, stop := e.pins.watchFiles(files) // before it begins: what is waited for is not held
	defer stop()
	e.pins.placementChanged(n)
	return e.pins.wait(ctx, files, t, progress)
}

// clearBelow takes back what nodes below n say of their own, so that the new wish holds for all.
func (e *Engine) clearBelow(n namespace.NodeID) error {
	var first error
	e.pins.below(n, func(ms ...namespace.NodeID) {
		for _, m := range ms {
			if m == n || first != nil {
				continue
			}
			if _, own, err := e.cfg.Names.Placement(m, e.cfg.Self); err == nil && own != namespace.Inherited {
				first = e.cfg.Names.SetPlacement(m, e.cfg.Self, namespace.Inherited)
			}
		}
	})
	return first
}

// Unpin takes a pin back: of n itself, of what is below it, and against a pinned folder above.
// The blocks become cache as soon as another device keeps them.
func (e *Engine) Unpin(n namespace.NodeID) error {
	if err := e.clearBelow(n); err != nil {
		return err
	}
	if err := e.setUnlessInherited(n, namespace.Automatic); err != nil {
		return err
	}
	e.pins.placementChanged(n)
	return nil
}

// setUnlessInherited gives n the placement p, by saying nothing where that is enough.
func (e *Engine) setUnlessInherited(n namespace.NodeID, p namespace.Placement) error {
	if err := e.cfg.Names.SetPlacement(n, e.cfg.Self, namespace.Inherited); err != nil {
		return err
	}
	eff, _, err := e.cfg.Names.Placement(n, e.cfg.Self)
	if err != nil || eff != namespace.Pinned {
		return err
	}
	return e.cfg.Names.SetPlacement(n, e.cfg.Self, p)
}

// lookTime is the least pause between two looks at what a pin still lacks: they may be at
// very many files.
const lookTime = 20 * time.Millisecond

// wait returns when every file is here and kept, or with the first reason why one is not.
func (p *pins) wait(ctx context.Context, files []namespace.Entry, t *tally, report func(Progress)) error {
	left := files
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		var err error
		left, err = p.left(left)
		if report != nil {
			now, from := p.read(t)
			report(Progress{Files: int64(len(files) - len(left)), TotalFiles: int64(len(files)),
				Blocks: now.blocks, TotalBlocks: now.total, Bytes: now.bytes, From: from})
		}
		if len(left) == 0 || err != nil {
			return err
		}
		sleep(ctx, lookTime)
		select {
		case <-ctx.Done():
			return errs.E("placement.Pin", errs.Other, "", ctx.Err())
		case <-changed:
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// left returns the files that are not here yet; err is why one that is no longer being tried is not.
func (p *pins) left(files []namespace.Entry) (out []namespace.Entry, err error) {
	for _, f := range files {
		j := job{f.ID, ForPin}
		contents, cerr := p.e.contents(f.ID)
		if cerr == nil && (len(contents) == 0 || p.done(j, contents)) {
			continue
		}
		out = append(out, f)
		p.mu.Lock()
		if e := p.failed[j]; e != nil && !p.queued[j] && !p.busy[j] {
			err = e
		}
		p.mu.Unlock()
	}
	return out, err
}

// watchFiles begins a tally of some files; stop ends it.
func (p *pins) watchFiles(files []namespace.Entry) (t *tally, stop func()) {
	t = &tally{files: map[namespace.NodeID]bool{}, from: map[ident.DeviceID]int64{}}
	for _, f := range files {
		t.files[f.ID] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tallies[t] = true
	return t, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.tallies, t)
	}
}

func (p *pins) read(t *tally) (moved, map[ident.DeviceID]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return t.moved, maps.Clone(t.from)
}
