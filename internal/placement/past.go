package placement

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/namespace"
)

// What a keeper need not keep any more, because its file shows it no more, stays as history: as
// long as the namespace remembers a state with it, and as long as there is room (cache.Past).
// Nobody is promised anything about it.

// pastOf are those of ds that old states of n have. Only manifests that are here can tell.
func (e *Engine) pastOf(ctx context.Context, n namespace.NodeID, ds []blocks.Digest) (past []blocks.Digest) {
	if len(ds) == 0 {
		return nil
	}
	cs, err := e.cfg.Names.FormerContents(n)
	if err != nil {
		e.cfg.Log.Warn("history cannot be read", "err", err)
		return nil
	}
	open := make(map[blocks.Digest]bool, len(ds))
	for _, d := range ds {
		open[d] = true
	}
	for _, c := range cs {
		if len(open) == 0 {
			break
		}
		for d, err := range e.cfg.Digests(ctx, c, Here) {
			if err != nil {
				break // its manifest was not kept here
			}
			if open[d] {
				past = append(past, d)
				delete(open, d)
			}
		}
	}
	return past
}

// Forget lets go of what was kept as history of files of which old states have expired.
func (e *Engine) Forget(ctx context.Context, nodes []namespace.NodeID) {
	seen := map[namespace.NodeID]bool{}
	for _, n := range nodes {
		if seen[n] || ctx.Err() != nil {
			continue
		}
		seen[n] = true
		if err := e.forget(ctx, n); err != nil {
			e.cfg.Log.Warn("history not let go", "err", err)
		}
	}
}

func (e *Engine) forget(ctx context.Context, n namespace.NodeID) error {
	owner := cache.Owner{Kind: cache.History, Node: n}
	mine, err := e.owned(owner)
	if err != nil || len(mine) == 0 {
		return err
	}
	cs, err := e.cfg.Names.FormerContents(n)
	if err != nil {
		return err
	}
	needed := map[blocks.Digest]bool{}
	for _, c := range cs {
		for d, err := range e.cfg.Digests(ctx, c, Here) {
			if err != nil {
				break
			}
			needed[d] = true
		}
	}
	var dead []blocks.Digest
	for _, d := range mine {
		if !needed[d] {
			dead = append(dead, d)
		}
	}
	return e.cfg.Store.Disown(owner, dead...)
}
