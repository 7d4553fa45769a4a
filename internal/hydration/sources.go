package hydration

import (
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/ident"
)

const (
	maxAwaited  = 1 << 14         // blocks whose sender is waited for: 32 MiB read ahead are far fewer
	awaitedTime = 2 * time.Minute // after which nobody waits for them any more
)

// awaited are the blocks that runs may bring and of which it is not known yet from where. A read hears that it has
// its bytes, and one ahead not even that: who sent them is told by whoever fetches (Gate.Came), for each block.
type awaited struct {
	mu sync.Mutex
	by map[blocks.Digest]expected
}

type expected struct {
	entry Entry // of the run and file
	bytes int64
	since time.Time
}

// add notes what an ask will bring.
func (w *awaited) add(e Entry, a fs.Ask, now time.Time) {
	e.Node = a.Node
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.by)+len(a.Refs) > maxAwaited {
		for d, x := range w.by {
			if now.Sub(x.since) > awaitedTime {
				delete(w.by, d)
			}
		}
	}
	for _, r := range a.Refs {
		if len(w.by) < maxAwaited {
			w.by[r.Digest] = expected{e, int64(r.Length), now}
		}
	}
}

// drop notes that it did not come.
func (w *awaited) drop(a fs.Ask) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range a.Refs {
		delete(w.by, r.Digest)
	}
}

// take returns for whom a block came, if anybody waited.
func (w *awaited) take(d blocks.Digest, now time.Time) (e expected, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, ok = w.by[d]
	delete(w.by, d)
	return e, ok && now.Sub(e.since) <= awaitedTime
}

// Came hears that a block is here now, and which device sent it.
func (g *Gate) Came(d blocks.Digest, from ident.DeviceID) {
	if x, ok := g.awaited.take(d, g.cfg.Clock()); ok {
		x.entry.From = map[ident.DeviceID]int64{from: x.bytes}
		g.ledger.note(x.entry)
	}
}
