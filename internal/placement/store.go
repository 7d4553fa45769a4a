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

// belongings are the blocks that some nodes own.
type belongings map[cache.Owner][]blocks.Digest

// lookUp is how many nodes' belongings are read at once.
const lookUp = 256

// belongings lists what nodes own under some kinds.
func (e *Engine) belongings(ns []namespace.NodeID, kinds ...cache.Kind) (belongings, error) {
	ids, out := make([][16]byte, len(ns)), belongings{}
	for i, n := range ns {
		ids[i] = n
	}
	for _, k := range kinds {
		by, err := e.cfg.Store.OwnedBy(k, 0, ids...)
		if err != nil {
			return nil, err
		}
		for n, ds := range by {
			out[cache.Owner{Kind: k, Node: n}] = ds
		}
	}
	return out, nil
}

// owning are those of some nodes that own anything under a kind.
func (e *Engine) owning(k cache.Kind, ns []namespace.NodeID) (map[namespace.NodeID]bool, error) {
	ids := make([][16]byte, len(ns))
	for i, n := range ns {
		ids[i] = n
	}
	by, err := e.cfg.Store.OwnedBy(k, 1, ids...)
	out := make(map[namespace.NodeID]bool, len(by))
	for n := range by {
		out[n] = true
	}
	return out, err
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
