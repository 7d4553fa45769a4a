package placement

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

const (
	releaseTime  = 10 * time.Second       // one question to one device
	releaseChunk = 4096                   // blocks in one question
	settleTime   = 300 * time.Millisecond // quiet after a local write before we say that we keep it
)

// leaving holds the blocks that this device is asking leave to drop: for these it grants nothing
// to others, so that two devices can not let each other go.
type leaving struct {
	mu sync.Mutex
	n  map[blocks.Digest]int
}

func (l *leaving) enter(ds []blocks.Digest) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == nil {
		l.n = map[blocks.Digest]int{}
	}
	for _, d := range ds {
		l.n[d]++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, d := range ds {
			if l.n[d]--; l.n[d] == 0 {
				delete(l.n, d)
			}
		}
	}
}

func (l *leaving) has(d blocks.Digest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n[d] > 0
}

// Classes implements exchange.Keeper.
func (e *Engine) Classes(ds []blocks.Digest) []exchange.Class {
	out := make([]exchange.Class, len(ds))
	for i, c := range e.classes(ds) {
		out[i] = wireClass(c)
	}
	return out
}

func wireClass(c cache.Class) exchange.Class {
	switch c {
	case cache.Staged:
		return exchange.Staged
	case cache.Pinned:
		return exchange.Pinned
	case cache.Fetched:
		return exchange.Fetched
	}
	return exchange.None
}

// Grant implements exchange.Keeper: true promises that this device keeps the block, durably,
// until it has itself a grant from another.
func (e *Engine) Grant(asker ident.DeviceID, _ [16]byte, ds []blocks.Digest) []bool {
	out := make([]bool, len(ds))
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	if err := e.cfg.Store.Sync(ctx); err != nil {
		return out
	}
	for i, c := range e.classes(ds) {
		out[i] = kept(c) && !e.leaving.has(ds[i])
	}
	return out
}

// askLeave asks devs, one after the other, for leave to stop keeping each of ds, and calls let
// with those that one granted, while the blocks are still marked as leaving. It returns those
// that nobody granted. A device's late answer is never used.
func (e *Engine) askLeave(ctx context.Context, devs []ident.DeviceID, ds []blocks.Digest, let func(granted []blocks.Digest) error) (rest []blocks.Digest, err error) {
	for chunk := range slices.Chunk(ds, releaseChunk) {
		left := chunk
		for _, dev := range devs {
			if len(left) == 0 {
				break
			}
			if left, err = e.askOne(ctx, dev, left, let); err != nil {
				return nil, err
			}
		}
		rest = append(rest, left...)
	}
	return rest, nil
}

func (e *Engine) askOne(ctx context.Context, dev ident.DeviceID, ds []blocks.Digest, let func([]blocks.Digest) error) (rest []blocks.Digest, err error) {
	defer e.leaving.enter(ds)()
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	var nonce [16]byte
	rand.Read(nonce[:])
	answers, err := e.cfg.Peers.Release(ctx, dev, nonce, ds)
	if err != nil || len(answers) != len(ds) {
		e.cfg.Log.Debug("no answer about keeping", "device", dev.Short(), "err", err)
		return ds, nil
	}
	var granted []blocks.Digest
	for i, ok := range answers {
		if ok {
			granted = append(granted, ds[i])
		} else {
			rest = append(rest, ds[i])
		}
	}
	if len(granted) == 0 {
		return rest, nil
	}
	return rest, let(granted)
}

// tryRelease says that another device may keep node's blocks by now.
func (e *Engine) tryRelease(n namespace.NodeID) {
	e.mu.Lock()
	e.release[n] = true
	e.mu.Unlock()
	e.poke()
}

func (e *Engine) tryAllReleases() {
	e.mu.Lock()
	e.everyNode = true
	e.mu.Unlock()
	e.poke()
}

// releaseLoop works on what tryRelease and local writes named.
func (e *Engine) releaseLoop(ctx context.Context) {
	tick := time.NewTicker(settleTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		case <-tick.C:
		}
		if err := e.ledger.flush(); err != nil {
			e.cfg.Log.Warn("ledger not written", "err", err)
		}
		e.sayWritten()
		for _, n := range e.takeReleases() {
			if err := e.relieve(ctx, n); err != nil && ctx.Err() == nil {
				e.cfg.Log.Warn("blocks not released", "err", err)
			}
		}
	}
}

// sayWritten announces files that were written here a moment ago and have come to rest.
func (e *Engine) sayWritten() {
	e.mu.Lock()
	var ripe []namespace.NodeID
	for n, at := range e.written {
		if time.Since(at) >= settleTime {
			ripe = append(ripe, n)
			delete(e.written, n)
		}
	}
	e.mu.Unlock()
	for _, n := range ripe {
		if err := e.announceOwn(n); err != nil {
			e.cfg.Log.Debug("not announced", "err", err)
		}
		e.tryRelease(n) // drops what earlier versions left behind
	}
}

// announceOwn says whether we keep the present content of a node whole.
func (e *Engine) announceOwn(n namespace.NodeID) error {
	ent, err := e.cfg.Names.Get(n)
	if err != nil || ent.Kind != namespace.File {
		return err
	}
	whole := true
	for d, err := range e.cfg.Digests(context.Background(), ent.Content, ForSafety) {
		if err != nil {
			return err
		}
		if !kept(e.class(d)) {
			whole = false
			break
		}
	}
	e.keepNow(n, ent.Versions, whole)
	return nil
}

func (e *Engine) takeReleases() []namespace.NodeID {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.everyNode {
		e.everyNode = false
		for _, k := range []cache.Kind{cache.Written, cache.Hold} {
			for _, n := range e.owners(k) {
				e.release[n] = true
			}
		}
	}
	out := slices.Collect(maps.Keys(e.release))
	clear(e.release)
	return out
}

// relieve lets go of those of n's staged and held blocks that no version needs any more, and of
// those that another device keeps.
func (e *Engine) relieve(ctx context.Context, n namespace.NodeID) error {
	needed, err := e.needed(ctx, n)
	if err != nil {
		return err
	}
	let := false
	for _, k := range []cache.Kind{cache.Written, cache.Hold} {
		owner := cache.Owner{Kind: k, Node: n}
		var dead, live []blocks.Digest
		mine, err := e.owned(owner)
		if err != nil {
			return err
		}
		for _, d := range mine {
			if needed[d] {
				live = append(live, d)
			} else {
				dead = append(dead, d)
			}
		}
		if err := e.cfg.Store.Disown(owner, dead...); err != nil {
			return err
		}
		devs := e.relievers(n)
		if len(live) == 0 || len(devs) == 0 {
			continue
		}
		if k == cache.Hold { // who asked us to hold it still has it staged: only a pin elsewhere relieves us
			if live, err = e.pinnedAt(ctx, devs, live); err != nil {
				return err
			}
		}
		rest, err := e.askLeave(ctx, devs, live, func(granted []blocks.Digest) error {
			let = true
			return e.cfg.Store.Disown(owner, granted...)
		})
		if err != nil {
			return err
		}
		e.cfg.Log.Debug("asked to be relieved", "kind", k, "devices", len(devs), "blocks", len(live), "refused", len(rest))
	}
	if let {
		if err := e.announceOwn(n); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// relievers are the connected devices that said they keep n's content whole.
func (e *Engine) relievers(n namespace.NodeID) []ident.DeviceID {
	ent, err := e.cfg.Names.Get(n)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(e.online(), func(d ident.DeviceID) bool { return !e.ledger.keeps(d, ent.Versions) })
}

// pinnedAt returns those of ds that one of devs keeps for good.
func (e *Engine) pinnedAt(ctx context.Context, devs []ident.DeviceID, ds []blocks.Digest) ([]blocks.Digest, error) {
	var out []blocks.Digest
	for _, dev := range devs {
		ctx, cancel := context.WithTimeout(ctx, releaseTime)
		classes, err := e.cfg.Peers.Have(ctx, dev, ds)
		cancel()
		if err != nil || len(classes) != len(ds) {
			continue
		}
		var rest []blocks.Digest
		for i, c := range classes {
			if c == exchange.Pinned {
				out = append(out, ds[i])
			} else {
				rest = append(rest, ds[i])
			}
		}
		ds = rest
	}
	return out, ctx.Err()
}

// needed is the set of all blocks of all contents that n shows, conflict copies included.
func (e *Engine) needed(ctx context.Context, n namespace.NodeID) (map[blocks.Digest]bool, error) {
	set := map[blocks.Digest]bool{}
	contents, err := e.cfg.Names.Contents(n)
	if err != nil && !gone(err) {
		return nil, err
	}
	for _, c := range contents {
		for d, err := range e.cfg.Digests(ctx, c, ForSafety) {
			if err != nil {
				return nil, err // a manifest is away: everything stays until it can be read
			}
			set[d] = true
		}
	}
	return set, nil
}
