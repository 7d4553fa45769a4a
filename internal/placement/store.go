package placement

import (
	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/namespace"
)

// Reading the store's index can fail only where the disk or the store does. Then nothing is
// promised and nothing dropped: a class that cannot be read counts as none.

func (e *Engine) classes(ds []blocks.Digest) []cache.Class {
	cs, err := e.cfg.Store.Has(ds...)
	if err != nil {
		e.cfg.Log.Warn("index of the cache cannot be read", "err", err)
		return make([]cache.Class, len(ds))
	}
	return cs
}

func (e *Engine) class(d blocks.Digest) cache.Class { return e.classes([]blocks.Digest{d})[0] }

func (e *Engine) size(d blocks.Digest) int64 {
	n, err := e.cfg.Store.Size(d)
	if err != nil {
		return 0
	}
	return int64(n)
}

// owned lists an owner's blocks.
func (e *Engine) owned(o cache.Owner) (ds []blocks.Digest, err error) {
	for d, err := range e.cfg.Store.Owned(o) {
		if err != nil {
			return nil, err
		}
		ds = append(ds, d)
	}
	return ds, nil
}

// owners lists the nodes that own blocks under a kind.
func (e *Engine) owners(k cache.Kind) (ns []namespace.NodeID) {
	for n, err := range e.cfg.Store.Owners(k) {
		if err != nil {
			e.cfg.Log.Warn("index of the cache cannot be read", "err", err)
			return nil
		}
		ns = append(ns, n)
	}
	return ns
}

// kept reports whether a class is one that a keeper has.
func kept(c cache.Class) bool { return c == cache.Staged || c == cache.Pinned }
