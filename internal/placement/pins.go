package placement

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// Tables: the nodes that this device pins of its own accord, and the content that is here
// whole for each pinned or held file.
const (
	tableRoots = '2' // node → empty
	tableDone  = '3' // node, urgency → its contents; none yet for a promise to another device
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

	// keep guards what is kept for a node's pin and hold (owners in the store, rows in
	// tableDone) where several of them change together. Held over index reads and writes only.
	keep sync.Mutex

	mu      sync.Mutex
	queue   []job
	queued  map[job]bool // those in it, but for what was forgotten
	forgot  bool         // some were
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
	from  map[ident.DeviceID]int64 // of the bytes, what each device sent
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

// done reports whether j's file is here whole with these contents, and kept.
func (p *pins) done(j job, cs []blocks.Content) bool {
	v, err := p.e.cfg.DB.Get(p.doneKey(j))
	return err == nil && len(v) > 0 && string(v) == string(encodeContents(cs))
}

// setRow says what is here whole for a job; none: it is only promised.
func (p *pins) setRow(j job, cs []blocks.Content) error {
	return p.write(func(b *kv.Batch) error { return b.Set(p.doneKey(j), encodeContents(cs)) })
}

func (p *pins) clearRow(j job) error {
	return p.write(func(b *kv.Batch) error { return b.Delete(p.doneKey(j)) })
}

func (p *pins) write(change func(*kv.Batch) error) error {
	b := p.e.cfg.DB.Batch()
	if err := change(b); err != nil {
		b.Close()
		return err
	}
	return b.Commit(kv.NoSync)
}

func encodeContents(cs []blocks.Content) (out []byte) {
	for _, c := range cs {
		out = binary.BigEndian.AppendUint64(append(append(out, c.Root[:]...), c.Depth), c.Size)
	}
	return out
}

// unwanted reports whether it is known that no wish pins a file.
func (p *pins) unwanted(n namespace.NodeID) bool {
	eff, _, err := p.e.cfg.Names.Placement(n, p.e.cfg.Self)
	return err == nil && eff != namespace.Pinned
}

// wanted reports whether a job still has its reason: the person's wish, or our promise.
func (p *pins) wanted(j job) bool {
	if j.why == ForSafety {
		ok, err := p.e.cfg.DB.Has(p.doneKey(j))
		return ok && err == nil
	}
	eff, _, err := p.e.cfg.Names.Placement(j.node, p.e.cfg.Self)
	return err == nil && eff == namespace.Pinned
}

// promise makes this device hold a file for another, until a keeper relieves it.
func (p *pins) promise(f namespace.Entry) error {
	j := job{f.ID, ForSafety}
	p.keep.Lock()
	err := p.e.cfg.Store.Own(j.owner(), f.Content.Root) // a restart finds the promise by it
	if err == nil && !p.wanted(j) {
		err = p.setRow(j, nil)
	}
	p.keep.Unlock()
	p.add(j)
	return err
}

// let ends the keeping of blocks that another keeper granted, and with them a promise.
func (p *pins) let(owner cache.Owner, ds []blocks.Digest) error {
	p.keep.Lock()
	defer p.keep.Unlock()
	if owner.Kind == cache.Hold {
		if err := p.clearRow(job{owner.Node, ForSafety}); err != nil {
			return err
		}
	}
	return p.e.cfg.Store.Disown(owner, ds...)
}

// resume queues what was under way or fell behind when the daemon last stopped.
func (p *pins) resume() {
	for _, n := range p.roots() {
		p.below(n, p.consider)
	}
	p.consider(p.e.owners(cache.Hold)...)
	p.consider(p.e.owners(cache.Pin)...) // may have been unpinned or removed meanwhile
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
	p.below(namespace.Root, func(ns ...namespace.NodeID) {
		for _, n := range ns {
			p.noteRoot(n)
		}
		p.consider(ns...)
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

// moved looks at a directory that has another place now. Without pins on this device nothing can
// have changed by that.
func (p *pins) moved(dir namespace.NodeID) {
	if len(p.roots()) > 0 {
		p.below(dir, p.consider)
	}
}

// below calls do for n and, for a directory, for everything below it, some at a time.
func (p *pins) below(n namespace.NodeID, do func(...namespace.NodeID)) {
	do(n)
	if !n.IsDir() {
		return
	}
	for after := uint64(0); ; {
		es, err := p.e.cfg.Names.List(n, after, 1024)
		if err != nil || len(es) == 0 {
			return
		}
		var files []namespace.NodeID
		for _, ent := range es {
			if !ent.ID.IsDir() {
				files = append(files, ent.ID)
			}
		}
		do(files...)
		for _, ent := range es {
			if ent.ID.IsDir() {
				p.below(ent.ID, do)
			}
		}
		after = es[len(es)-1].Cookie
	}
}

// consider queues those files that are to be here and are not, and lets go of those that were.
func (p *pins) consider(ns ...namespace.NodeID) {
	for part := range slices.Chunk(ns, lookUp) {
		pinned, err := p.e.owning(cache.Pin, part)
		if err != nil {
			p.e.cfg.Log.Warn("index of the cache cannot be read", "err", err)
		}
		for _, n := range part {
			if !n.IsDir() {
				p.considerOne(n, pinned[n])
			}
		}
	}
}

// considerOne is consider for a file under whose pin something is kept, or nothing.
func (p *pins) considerOne(n namespace.NodeID, keeps bool) {
	ent, err := p.e.cfg.Names.Get(n)
	if gone(err) {
		if keeps {
			p.unpinned(n)
		}
		if err := p.clearRow(job{n, ForSafety}); err != nil {
			p.e.cfg.Log.Warn("promise not ended", "err", err)
		}
		p.e.tryRelease(n)
		return
	}
	if err != nil || ent.Kind != namespace.File {
		return
	}
	for _, why := range []Urgency{ForPin, ForSafety} {
		j := job{n, why}
		if !p.wanted(j) {
			p.forget(j)
			if why == ForPin && keeps && p.unwanted(n) {
				p.unpinned(n)
			}
			continue
		}
		contents, err := p.e.contents(n)
		switch {
		case err != nil:
			return
		case p.done(j, contents):
			p.e.keepNow(n, ent.Versions, true) // the same bytes may be shown by other versions now
		default:
			p.add(j)
		}
	}
	if c := ent.Conflict; c != nil && !c.Of.IsZero() && c.Of != n {
		p.considerOrigin(c.Of)
	}
}

// considerOrigin looks at the file of which a conflict copy has appeared: who keeps the file
// keeps the copies that are not files of their own yet.
func (p *pins) considerOrigin(n namespace.NodeID) {
	contents, err := p.e.contents(n)
	if err != nil {
		return
	}
	for _, why := range []Urgency{ForPin, ForSafety} {
		if j := (job{n, why}); p.wanted(j) && !p.done(j, contents) {
			p.add(j)
		}
	}
}

// unpinned turns the pin of a file into a hold, which ends as soon as another keeper allows it
// or nothing shows the blocks any more.
func (p *pins) unpinned(n namespace.NodeID) {
	if err := p.toHold(job{n, ForPin}, nil); err != nil {
		p.e.cfg.Log.Warn("not unpinned", "err", err)
		return
	}
	p.e.leaveSoon(n)
}

// drop ends a file's pin and promise, and every keeping of ds on its behalf.
func (p *pins) drop(n namespace.NodeID, ds []blocks.Digest) error {
	p.keep.Lock()
	defer p.keep.Unlock()
	for _, why := range []Urgency{ForPin, ForSafety} {
		if err := p.clearRow(job{n, why}); err != nil {
			return err
		}
	}
	for _, k := range keeping {
		if err := p.e.cfg.Store.Disown(cache.Owner{Kind: k, Node: n}, ds...); err != nil {
			return err
		}
	}
	return nil
}

// toHold moves what is pinned for a file, except what is in still, to its hold. What is kept
// is at no time without an owner.
func (p *pins) toHold(j job, still map[blocks.Digest]bool) error {
	p.keep.Lock()
	defer p.keep.Unlock()
	ds, err := p.e.owned(j.owner())
	if err != nil {
		return err
	}
	ds = slices.DeleteFunc(ds, func(d blocks.Digest) bool { return still[d] })
	if still == nil {
		if err := p.clearRow(j); err != nil {
			return err
		}
	}
	if err := p.e.cfg.Store.Own(cache.Owner{Kind: cache.Hold, Node: j.node}, ds...); err != nil {
		return err
	}
	return p.e.cfg.Store.Disown(j.owner(), ds...)
}

func (p *pins) add(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queued[j] {
		return
	}
	p.tidyLocked()
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
	p.tidyLocked()
	holding := p.holdingLocked()
	for i, j := range p.queue {
		if !p.busy[j] && !holding(j) {
			copy(p.queue[1:i+1], p.queue[:i]) // a few busy ones at most: the queue may be very long
			p.queue = p.queue[1:]
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

// bring fetches what is missing of a file and keeps it, its conflict copies included. The
// blocks are owned before they arrive, so that none is evicted in between.
func (p *pins) bring(ctx context.Context, j job) error {
	const op = "placement.bring"
	cfg := &p.e.cfg
	ent, err := cfg.Names.Get(j.node)
	if gone(err) || err == nil && !p.wanted(j) {
		p.consider(j.node)
		return nil
	}
	if err != nil {
		return err
	}
	contents, err := p.e.contents(j.node)
	if err != nil {
		return err
	}
	if j.why == ForPin { // it may have grown, or come into a pinned folder, since somebody asked
		if err := p.e.room(ctx, ForPin, []namespace.Entry{ent}); err != nil {
			return err
		}
	}
	u, holders := p.urgency(j), p.e.ledger.keepers(ent.Versions)
	set, err := p.e.digestsOf(ctx, contents, u, holders...)
	if err != nil {
		return errs.E(op, errs.Other, ent.Name, err)
	}
	if ok, err := p.own(j, set); err != nil || !ok {
		return err
	}
	missing, err := p.missing(set)
	if err != nil {
		return err
	}
	p.count(j, moved{total: int64(len(missing))})
	var first error
	err = cfg.Fetch(ctx, u, holders, slices.Values(missing), func(d blocks.Digest, err error) {
		if err != nil && first == nil {
			first = err
		} else if err == nil {
			p.count(j, moved{blocks: 1, bytes: p.e.size(d)}, d)
		}
	})
	if err == nil {
		err = first
	}
	if err == nil {
		err = cfg.Store.Sync(ctx)
	}
	if err != nil {
		return errs.E(op, errs.Other, ent.Name, err)
	}
	ok, err := p.finish(j, set, contents)
	if err != nil || !ok {
		return err
	}
	p.e.cfg.Log.Debug("brought here", "why", j.why, "blocks", len(set), "missing", len(missing))
	p.e.ledger.set(cfg.Self, true, ent.Versions...)
	p.e.listeners.say(newKeepChange(j.node, ent.Versions, true)) // news or not: it may be a conflict copy that came
	p.consider(j.node)                                           // there may be a newer content already
	return nil
}

// own makes a job the owner of all its blocks, unless it has lost its reason. What it owned of
// earlier contents goes through the hold, which is swept with care.
func (p *pins) own(j job, set map[blocks.Digest]bool) (ok bool, err error) {
	p.keep.Lock()
	ok = p.wanted(j)
	if ok {
		err = p.e.cfg.Store.Own(j.owner(), slices.Collect(maps.Keys(set))...)
	}
	p.keep.Unlock()
	if err != nil || !ok {
		return false, err
	}
	if j.why == ForPin {
		if err := p.toHold(j, set); err != nil {
			return false, err
		}
	}
	p.e.tryRelease(j.node)
	return true, nil
}

func (p *pins) missing(set map[blocks.Digest]bool) (out []blocks.Digest, err error) {
	for chunk := range slices.Chunk(slices.Collect(maps.Keys(set)), releaseChunk) {
		classes, err := p.e.cfg.Store.Has(chunk...)
		if err != nil {
			return nil, err
		}
		for i, c := range classes {
			if c == cache.None && !chunk[i].IsZero() {
				out = append(out, chunk[i])
			}
		}
	}
	return out, nil
}

// finish notes that all is here, if the job still owns it: a person may have changed their mind
// while it was fetched. Then it is queued again, or was ended by whoever took the blocks.
func (p *pins) finish(j job, set map[blocks.Digest]bool, contents []blocks.Content) (ok bool, err error) {
	p.keep.Lock()
	defer p.keep.Unlock()
	if !p.wanted(j) {
		return false, nil
	}
	ds, err := p.e.owned(j.owner())
	if err != nil {
		return false, err
	}
	n := 0
	for _, d := range ds {
		if set[d] {
			n++
		}
	}
	if n < len(set) {
		return false, nil
	}
	lost, err := p.missing(set)
	if err == nil && len(lost) > 0 { // they came, and the store had no room for them
		err = p.e.noRoom("placement.bring", j.why, 0)
	}
	if err != nil {
		return false, err
	}
	return true, p.setRow(j, contents)
}

func (p *pins) count(j job, more moved, came ...blocks.Digest) {
	var from []ident.DeviceID
	for _, d := range came {
		if p.e.cfg.Sender == nil {
			break
		}
		if dev, ok := p.e.cfg.Sender(d); ok {
			from = append(from, dev)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.tallies {
		if t.files[j.node] {
			t.moved = moved{t.blocks + more.blocks, t.bytes + more.bytes, t.total + more.total}
			for _, dev := range from {
				t.from[dev] += more.bytes
			}
		}
	}
}
