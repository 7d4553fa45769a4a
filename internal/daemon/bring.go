package daemon

import (
	"context"
	"maps"
	"slices"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// bring makes old contents this device's to keep, as if they were written here anew: their blocks are
// here, durable and owned, before a record names them. What is not here comes from other devices:
// Offline, Timeout. NoSpace.
func (p *parts) bring(ctx context.Context, id namespace.NodeID, c blocks.Content) (named func() error, err error) {
	const op = "daemon.bring"
	set, group := map[digest]bool{}, p.fetcher.Group()
	for d, err := range content.Digests(ctx, at{group, fetch.OnDemand}, p.sealer, c) {
		if err != nil {
			return nil, errs.E(op, errs.Other, "", err)
		}
		set[d] = true
	}
	delete(set, digest{}) // a hole
	ds := slices.Collect(maps.Keys(set))
	writing := cache.Owner{Kind: cache.Writing, Node: id}
	if err := p.cache.Own(writing, ds...); err != nil {
		return nil, err
	}
	release := func() error { return p.cache.Disown(writing, ds...) }
	defer func() {
		if err != nil {
			_ = release()
		}
	}()
	var first error
	err = group.FetchAll(ctx, fetch.OnDemand, slices.Values(ds), func(_ digest, err error) {
		if first == nil {
			first = err
		}
	})
	if err == nil {
		err = first
	}
	if err == nil {
		err = p.cache.Sync(ctx)
	}
	if err == nil {
		err = p.allHere(op, ds)
	}
	if err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	return func() error {
		if err := p.cache.Own(cache.Owner{Kind: cache.Written, Node: id}, ds...); err != nil {
			return err
		}
		return release()
	}, nil
}

// allHere is NoSpace where the store had no room for a block that came.
func (p *parts) allHere(op string, ds []digest) error {
	for chunk := range slices.Chunk(ds, askBlocks) {
		cs, err := p.cache.Has(chunk...)
		if err != nil {
			return err
		}
		if slices.Contains(cs, cache.None) {
			return errs.E(op, errs.NoSpace, "cache", nil)
		}
	}
	return nil
}
