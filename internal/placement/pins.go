package placement

import (
	"context"
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// Tables: the nodes that this device pins of its own accord, and the content that is here
// whole for each pinned or held file.
const (
	tableRoots = '2' // node → empty
	tableDone  = '3' // node, urgency → content
)

const (
	pinWorkers = 4
	retryTime  = 15 * time.Second
)

// job names one file to be brought here and kept.
type job struct {
	node namespace.NodeID
	why  Urgency
}

func (j job) owner() cache.Owner {
	if j.why == ForPin {
		return cache.Owner{Kind: cache.Pin, Node: j.node}
	}
	return cache.Owner{Kind: cache.Hold, Node: j.node}
}

// pins brings files here: those that are pinned, and those that we hold for others. Jobs that
// fail stay and are tried again when a device connects or after retryTime.
type pins struct {
	e *Engine

	mu      sync.Mutex
	queue   []job
	queued  map[job]bool
	failed  map[job]error
	busy    map[job]bool
	changed chan struct{} // closed and replaced when a job ends
	wake    chan struct{}
	tallies map[*tally]bool // who wants to know how much was brought
}

// moved counts blocks and sealed bytes that were brought, and blocks that were missing.
type moved struct{ blocks, bytes, total int64 }

// tally adds up what is brought of some files while somebody waits for them.
type tally struct {
	files map[namespace.NodeID]bool
	moved
}

func newPins(e *Engine) *pins {
	return &pins{e: e, queued: map[job]bool{}, failed: map[job]error{}, busy: map[job]bool{},
		changed: make(chan struct{}), wake: make(chan struct{}, 1), tallies: map[*tally]bool{}}
}

func (p *pins) rootKey(n namespace.NodeID) kv.Key { return p.e.cfg.DB.Key(tableRoots, kv.Plain(n[:])) }
func (p *pins) doneKey(j job) kv.Key {
	return p.e.cfg.DB.Key(tableDone, kv.Plain(j.node[:]), kv.Plain([]byte{byte(j.why)}))
}

// done reports whether j's file is here whole with this content, and kept.
func (p *pins) done(j job, c blocks.Content) bool {
	v, err := p.e.cfg.DB.Get(p.doneKey(j))
	return err == nil && string(v) == string(encodeContent(c))
}

func (p *pins) setDone(j job, c *blocks.Content) error {
	b := p.e.cfg.DB.Batch()
	var err error
	if c == nil {
		err = b.Delete(p.doneKey(j))
	} else {
		err = b.Set(p.doneKey(j), encodeContent(*c))
	}
	if err != nil {
		b.Close()
		return err
	}
	return b.Commit(kv.NoSync)
}

func encodeContent(c blocks.Content) []byte {
	return binary.BigEndian.AppendUint64(append(slices.Clone(c.Root[:]), c.Depth), c.Size)
}

// resume queues what was under way or fell behind when the daemon last stopped.
func (p *pins) resume() {
	for _, n := range p.roots() {
		p.below(n, p.consider)
	}
	for _, n := range p.e.owners(cache.Hold) {
		p.add(job{n, ForSafety})
	}
	for _, n := range p.e.owners(cache.Pin) {
		p.consider(n) // may have been unpinned or removed meanwhile
	}
}

func (p *pins) roots() (out []namespace.NodeID) {
	_ = p.e.cfg.DB.ScanKeys(p.e.cfg.DB.Key(tableRoots), func(k kv.Key) bool {
		if len(k) == 17 {
			out = append(out, namespace.NodeID(k[1:]))
		}
		return true
	})
	return out
}

// rescan looks at everything: the watcher could not keep up.
func (p *pins) rescan() {
	p.below(namespace.Root, func(n namespace.NodeID) {
		p.noteRoot(n)
		p.consider(n)
	})
}

// placementChanged follows a new wish for a node, of a person here or on another device.
func (p *pins) placementChanged(n namespace.NodeID) {
	p.noteRoot(n)
	p.below(n, p.consider)
}

func (p *pins) noteRoot(n namespace.NodeID) {
	_, own, err := p.e.cfg.Names.Placement(n, p.e.cfg.Self)
	if err != nil && !gone(err) {
		return
	}
	b := p.e.cfg.DB.Batch()
	if own == namespace.Pinned && err == nil {
		err = b.Set(p.rootKey(n), nil)
	} else {
		err = b.Delete(p.rootKey(n))
	}
	if err != nil {
		b.Close()
		return
	}
	if err := b.Commit(kv.NoSync); err != nil {
		p.e.cfg.Log.Warn("placement not remembered", "err", err)
	}
}

// moved looks at a node that has another place now. Without pins on this device nothing can
// have changed by that.
func (p *pins) moved(n namespace.NodeID) {
	if !n.IsDir() {
		p.consider(n)
		return
	}
	if len(p.roots()) == 0 {
		return
	}
	p.below(n, p.consider)
}

// below calls do for n and, for a directory, for everything below it.
func (p *pins) below(n namespace.NodeID, do func(namespace.NodeID)) {
	do(n)
	if !n.IsDir() {
		return
	}
	for after := uint64(0); ; {
		es, err := p.e.cfg.Names.List(n, after, 1024)
		if err != nil || len(es) == 0 {
			return
		}
		for _, ent := range es {
			p.below(ent.ID, do)
		}
		after = es[len(es)-1].Cookie
	}
}

// consider queues a file that is to be here and is not, and lets go of one that was.
func (p *pins) consider(n namespace.NodeID) {
	if n.IsDir() {
		return
	}
	cfg := &p.e.cfg
	ent, err := cfg.Names.Get(n)
	if gone(err) {
		p.forget(n)
		return
	}
	if err != nil || ent.Kind != namespace.File {
		return
	}
	j := job{n, ForPin}
	if eff, _, err := cfg.Names.Placement(n, cfg.Self); err == nil && eff == namespace.Pinned {
		if !p.done(j, ent.Content) {
			p.add(j)
		}
	} else if err == nil {
		p.unpinned(j)
	}
	if held := (job{n, ForSafety}); p.holds(held) && !p.done(held, ent.Content) {
		p.add(held)
	}
}

// holds reports whether anything is kept for this job's reason.
func (p *pins) holds(j job) bool {
	for range p.e.cfg.Store.Owned(j.owner()) {
		return true
	}
	return false
}

// unpinned turns the pin of a file into a hold, which ends as soon as another keeper allows it.
func (p *pins) unpinned(j job) {
	if !p.holds(j) {
		return
	}
	store := p.e.cfg.Store
	ds, err := p.e.owned(j.owner())
	if err == nil {
		err = store.Own(cache.Owner{Kind: cache.Hold, Node: j.node}, ds...)
	}
	if err == nil {
		err = store.DisownAll(j.owner())
	}
	if err == nil {
		err = p.setDone(j, nil)
	}
	if err != nil {
		p.e.cfg.Log.Warn("not unpinned", "err", err)
	}
	p.e.leaveSoon(j.node)
}

// forget drops everything that was kept of a file that nobody shows any more.
func (p *pins) forget(n namespace.NodeID) {
	for _, why := range []Urgency{ForPin, ForSafety} {
		j := job{n, why}
		if p.holds(j) {
			_ = p.e.cfg.Store.DisownAll(j.owner())
			_ = p.setDone(j, nil)
		}
	}
	p.e.tryRelease(n)
}

func (p *pins) add(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queued[j] {
		return
	}
	p.queued[j] = true
	delete(p.failed, j)
	p.queue = append(p.queue, j)
	p.poke()
}

func (p *pins) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// retry queues again what failed.
func (p *pins) retry() {
	p.mu.Lock()
	failed := slices.Collect(maps.Keys(p.failed))
	p.mu.Unlock()
	for _, j := range failed {
		p.add(j)
	}
}

// take hands out the next job; one that is being worked on waits for its end.
func (p *pins) take() (job, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, j := range p.queue {
		if !p.busy[j] {
			p.queue = slices.Delete(p.queue, i, i+1)
			delete(p.queued, j)
			p.busy[j] = true
			return j, true
		}
	}
	return job{}, false
}

func (p *pins) end(j job, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, j)
	if err != nil {
		p.failed[j] = err
	} else {
		delete(p.failed, j)
	}
	close(p.changed)
	p.changed = make(chan struct{})
	if len(p.queue) > 0 {
		p.poke()
	}
}

func (p *pins) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range pinWorkers {
		wg.Go(func() {
			for {
				j, ok := p.take()
				if !ok {
					select {
					case <-ctx.Done():
						return
					case <-p.wake:
					case <-time.After(retryTime):
						p.retry()
					}
					continue
				}
				p.poke() // there may be more for the others
				err := p.bring(ctx, j)
				if ctx.Err() == nil && err != nil {
					p.e.cfg.Log.Debug("not brought here yet", "err", err)
				}
				p.end(j, err)
			}
		})
	}
}

// bring fetches what is missing of a file and keeps it. The blocks are owned before they
// arrive, so that none is evicted in between.
func (p *pins) bring(ctx context.Context, j job) error {
	cfg := &p.e.cfg
	ent, err := cfg.Names.Get(j.node)
	if err != nil {
		if gone(err) {
			p.forget(j.node)
			return nil
		}
		return err
	}
	var all []blocks.Digest
	for d, err := range cfg.Digests(ctx, ent.Content, j.why) {
		if err != nil {
			return err
		}
		all = append(all, d)
	}
	if err := cfg.Store.Replace(j.owner(), all...); err != nil {
		return err
	}
	var missing []blocks.Digest
	for chunk := range slices.Chunk(all, releaseChunk) {
		for i, c := range p.e.classes(chunk) {
			if c == cache.None {
				missing = append(missing, chunk[i])
			}
		}
	}
	p.count(j, moved{total: int64(len(missing))})
	var first error
	err = cfg.Fetch(ctx, j.why, values(missing), func(d blocks.Digest, err error) {
		if err != nil && first == nil {
			first = err
		} else if err == nil {
			p.count(j, moved{blocks: 1, bytes: p.e.size(d)})
		}
	})
	if err == nil {
		err = first
	}
	if err == nil {
		err = cfg.Store.Sync(ctx)
	}
	if err != nil {
		return errs.E("placement.bring", errs.Other, ent.Name, err)
	}
	if err := p.setDone(j, &ent.Content); err != nil {
		return err
	}
	p.e.cfg.Log.Debug("brought here", "why", j.why, "blocks", len(all), "missing", len(missing))
	p.e.keepNow(j.node, ent.Versions, true)
	if now, err := cfg.Names.Get(j.node); err == nil && now.Content != ent.Content {
		p.add(j)
	}
	return nil
}

func (p *pins) count(j job, more moved) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.tallies {
		if t.files[j.node] {
			t.moved = moved{t.blocks + more.blocks, t.bytes + more.bytes, t.total + more.total}
		}
	}
}

func values(ds []blocks.Digest) iter.Seq[blocks.Digest] { return slices.Values(ds) }
