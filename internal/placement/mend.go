package placement

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/namespace"
)

// mendTime is how long damage is gathered before it is mended: it seldom comes alone.
const mendTime = 100 * time.Millisecond

// hurt are the blocks that were dropped because they failed their check.
type hurt struct {
	mu   sync.Mutex
	ds   map[blocks.Digest]bool
	wake chan struct{} // capacity 1
}

// Damaged says that the copy of a block was dropped because it failed its check. Files that are
// kept here and need it are brought here again; until then this device does not say that it keeps
// them. What was written here is fetched as soon as somebody has it. It may be called by the store, holding what it likes, and before Run.
func (e *Engine) Damaged(d blocks.Digest) {
	e.hurt.mu.Lock()
	defer e.hurt.mu.Unlock()
	e.hurt.ds[d] = true
	select {
	case e.hurt.wake <- struct{}{}:
	default:
	}
}

func (h *hurt) take() map[blocks.Digest]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	ds := h.ds
	h.ds = map[blocks.Digest]bool{}
	return ds
}

func (e *Engine) mendLoop(ctx context.Context) {
	lost := map[blocks.Digest]bool{} // written here, damaged, and nobody had them so far
	for {
		var again <-chan time.Time
		if len(lost) > 0 {
			again = time.After(retryTime)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.hurt.wake:
			sleep(ctx, mendTime)
		case <-again:
		}
		ds := e.hurt.take()
		for why, kind := range map[Urgency]cache.Kind{ForPin: cache.Pin, ForSafety: cache.Hold} {
			for _, n := range e.owners(kind) {
				if ctx.Err() != nil {
					return
				}
				if len(ds) > 0 && e.ownsAny(cache.Owner{Kind: kind, Node: n}, ds) {
					e.mend(ctx, job{n, why})
				}
			}
		}
		maps.Copy(lost, ds)
		e.mendWritten(ctx, lost)
	}
}

// mendWritten fetches those blocks that were written here and that another device may have by now,
// if only as cache: they are staged again when they come. What came, or is not needed, leaves ds.
func (e *Engine) mendWritten(ctx context.Context, ds map[blocks.Digest]bool) {
	wanted := map[blocks.Digest]bool{}
	for _, n := range e.owners(cache.Written) {
		for d := range ds {
			if ok, err := e.cfg.Store.Owns(cache.Owner{Kind: cache.Written, Node: n}, d); ok && err == nil && e.class(d) == cache.None {
				wanted[d] = true
			}
		}
	}
	maps.DeleteFunc(ds, func(d blocks.Digest, _ bool) bool { return !wanted[d] })
	if len(ds) == 0 || len(e.online()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // nobody may have them, and others wait for us
	defer cancel()
	err := e.cfg.Fetch(ctx, ForSafety, nil, maps.Keys(wanted), func(d blocks.Digest, err error) {
		if err == nil {
			delete(ds, d)
		}
	})
	if err != nil {
		e.cfg.Log.Debug("damaged blocks written here are not fetched yet", "blocks", len(ds), "err", err)
	}
}

func (e *Engine) ownsAny(o cache.Owner, ds map[blocks.Digest]bool) bool {
	for d := range ds {
		if ok, err := e.cfg.Store.Owns(o, d); ok && err == nil {
			return true
		}
	}
	return false
}

// mend takes back that a file is here whole, and queues it. A promise stays one.
func (e *Engine) mend(ctx context.Context, j job) {
	if err := e.pins.notWhole(j); err != nil {
		e.cfg.Log.Warn("a damaged file is not fetched again", "err", err)
		return
	}
	if err := e.announceOwn(ctx, namespace.NodeID(j.node)); err != nil && !gone(err) {
		e.cfg.Log.Debug("not announced", "err", err)
	}
	e.pins.add(j)
}

// notWhole forgets that j's file is here whole.
func (p *pins) notWhole(j job) error {
	p.keep.Lock()
	defer p.keep.Unlock()
	switch {
	case j.why == ForPin:
		return p.clearRow(j)
	case p.wanted(j):
		return p.setRow(j, nil)
	}
	return nil // not promised: what is left of an earlier pin
}
