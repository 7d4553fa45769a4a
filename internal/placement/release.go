package placement

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/logfold"
	"github.com/shelffs/shelf/internal/namespace"
)

const (
	releaseTime    = 10 * time.Second       // one question to one device
	releaseChunk   = 4096                   // blocks in one question
	releaseWorkers = 8                      // nodes asked about at once
	settleTime     = 300 * time.Millisecond // quiet after a local write before we say that we keep it
)

// promise is one block of one file: leave to stop keeping it is asked and granted per file,
// because a keeper lets go of a block when the file that it keeps it for is gone, though
// another file may hold the same bytes.
type promise struct {
	node  namespace.NodeID
	block blocks.Digest
}

// leaving holds what this device is asking leave to stop keeping: for these it grants nothing
// to others, so that two devices can not let each other go.
type leaving struct {
	mu sync.Mutex
	n  map[promise]int
}

// enter marks blocks until done is called.
func (l *leaving) enter(n namespace.NodeID, ds []blocks.Digest) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == nil {
		l.n = map[promise]int{}
	}
	for _, d := range ds {
		l.n[promise{n, d}]++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, d := range ds {
			p := promise{n, d}
			if l.n[p]--; l.n[p] == 0 {
				delete(l.n, p)
			}
		}
	}
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
	case cache.Fetched, cache.Past:
		return exchange.Fetched
	}
	return exchange.None
}

// Grant implements exchange.Keeper: true promises that this device keeps the block for that
// file, durably, until it has itself a grant from another or the file shows it no more.
func (e *Engine) Grant(_ ident.DeviceID, node [16]byte, ds []blocks.Digest) []bool {
	out := make([]bool, len(ds))
	before, err := e.keptFor(node)
	if err != nil || len(before) == 0 {
		return out
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	if err := e.cfg.Store.Sync(ctx); err != nil { // makes durable what before shows
		return out
	}
	e.leaving.mu.Lock() // so that this is wholly before or wholly after we leave ourselves
	defer e.leaving.mu.Unlock()
	now, err := e.keptFor(node)
	if err != nil {
		return out
	}
	for i, c := range e.classes(ds) {
		d := ds[i]
		out[i] = kept(c) && before[d] && now[d] && e.leaving.n[promise{node, d}] == 0
	}
	return out
}

// keeping are the kinds of owners that make this device a keeper.
var keeping = []cache.Kind{cache.Written, cache.Pin, cache.Hold}

// keptFor is the set of blocks that this device keeps on behalf of a file, here or still to come.
func (e *Engine) keptFor(n namespace.NodeID) (map[blocks.Digest]bool, error) {
	own, err := e.belongings([]namespace.NodeID{n}, keeping...)
	if err != nil {
		return nil, err
	}
	return own.keptFor(n), nil
}

func (b belongings) keptFor(n namespace.NodeID) map[blocks.Digest]bool {
	set := map[blocks.Digest]bool{}
	for _, k := range keeping {
		for _, d := range b[cache.Owner{Kind: k, Node: n}] {
			set[d] = true
		}
	}
	delete(set, blocks.Digest{}) // a hole
	return set
}

// askLeave asks devs, one after the other, for leave to stop keeping blocks of n, and calls let
// with those that one granted, while they are still marked as leaving. It returns those that
// nobody granted. A device's late answer is never used.
func (e *Engine) askLeave(ctx context.Context, devs []ident.DeviceID, n namespace.NodeID, ds []blocks.Digest, let func(granted []blocks.Digest) error) (rest []blocks.Digest, err error) {
	for chunk := range slices.Chunk(ds, releaseChunk) {
		left := chunk
		for _, dev := range devs {
			if len(left) == 0 {
				break
			}
			if left, err = e.askOne(ctx, dev, n, left, let); err != nil {
				return nil, err
			}
		}
		rest = append(rest, left...)
	}
	return rest, nil
}

func (e *Engine) askOne(ctx context.Context, dev ident.DeviceID, n namespace.NodeID, ds []blocks.Digest, let func([]blocks.Digest) error) (rest []blocks.Digest, err error) {
	defer e.leaving.enter(n, ds)()
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	answers, err := e.cfg.Peers.Release(ctx, dev, n, ds)
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

// tryRelease says that another device may keep node's blocks by now, or that none are needed.
func (e *Engine) tryRelease(n namespace.NodeID) { e.queueRelease(n, false) }

// leaveSoon tries to end the hold on a node by anybody's grant, once: what a person no longer
// wants here is kept only where nobody else keeps it.
func (e *Engine) leaveSoon(n namespace.NodeID) { e.queueRelease(n, true) }

func (e *Engine) queueRelease(n namespace.NodeID, anybody bool) {
	e.mu.Lock()
	e.release[n] = e.release[n] || anybody
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
	failures := logfold.New[errs.Kind](logfold.Every, nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		case <-tick.C:
		}
		if err := e.ledger.flush(); err != nil {
			if n := failures.Add(errs.KindOf(err)); n > 0 {
				e.cfg.Log.Warn("ledger not written", "err", err, "times", n)
			}
		}
		e.sayWritten(ctx)
		e.relieveAll(ctx, e.takeReleases())
	}
}

// relieveAll works on several nodes at once: most of the time goes by waiting for answers.
func (e *Engine) relieveAll(ctx context.Context, todo map[namespace.NodeID]bool) {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, releaseWorkers)
	warn := func(err error) {
		if err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn("blocks not released", "err", err)
		}
	}
	for nodes := range slices.Chunk(slices.SortedFunc(maps.Keys(todo), namespace.NodeID.Compare), lookUp) {
		own, err := e.belongings(nodes, cache.Written, cache.Hold)
		if err != nil {
			warn(err)
			continue
		}
		for _, n := range nodes {
			if ctx.Err() != nil {
				return
			}
			if !own.any(n) {
				continue
			}
			room <- struct{}{}
			wg.Go(func() {
				defer func() { <-room }()
				warn(e.relieve(ctx, n, own, todo[n]))
			})
		}
	}
}

func (b belongings) any(n namespace.NodeID) bool {
	return len(b[cache.Owner{Kind: cache.Written, Node: n}])+len(b[cache.Owner{Kind: cache.Hold, Node: n}]) > 0
}

// sayWritten announces files that were written here a moment ago and have come to rest.
func (e *Engine) sayWritten(ctx context.Context) {
	e.mu.Lock()
	var ripe []namespace.NodeID
	for n, at := range e.written {
		if time.Since(at) >= settleTime {
			ripe = append(ripe, n)
			delete(e.written, n)
		}
	}
	e.mu.Unlock()
	for nodes := range slices.Chunk(ripe, lookUp) {
		own, err := e.belongings(nodes, keeping...)
		if err != nil {
			e.cfg.Log.Warn("index of the cache cannot be read", "err", err)
		}
		for _, n := range nodes {
			if err == nil {
				if err := e.announceKept(ctx, n, own.keptFor(n)); err != nil {
					e.cfg.Log.Debug("not announced", "err", err)
				}
			}
			e.tryRelease(n) // drops what earlier versions left behind
		}
	}
}

// announceOwn says whether we keep the present content of a node whole.
func (e *Engine) announceOwn(ctx context.Context, n namespace.NodeID) error {
	mine, err := e.keptFor(n)
	if err != nil {
		return err
	}
	return e.announceKept(ctx, n, mine)
}

// announceKept is announceOwn for a node on behalf of which we keep mine.
func (e *Engine) announceKept(ctx context.Context, n namespace.NodeID, mine map[blocks.Digest]bool) error {
	ent, err := e.cfg.Names.Get(n)
	if err != nil || ent.Kind != namespace.File {
		return err
	}
	whole := true
	for d, err := range e.cfg.Digests(ctx, ent.Content, ForSafety) {
		if err != nil {
			return err
		}
		if !d.IsZero() && (!mine[d] || !kept(e.class(d))) {
			whole = false
			break
		}
	}
	e.keepNow(n, ent.Versions, whole)
	return nil
}

// takeReleases returns the nodes to work on now; those with value true may be let go to anybody.
func (e *Engine) takeReleases() map[namespace.NodeID]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.everyNode {
		e.everyNode = false
		for _, k := range []cache.Kind{cache.Written, cache.Hold} {
			for _, n := range e.owners(k) {
				e.queueLocked(n)
			}
		}
	}
	for owner, since := range e.dying {
		n := namespace.NodeID(owner.Node)
		if time.Since(since) >= settleTime {
			e.queueLocked(n)
		}
	}
	out := e.release
	e.release = map[namespace.NodeID]bool{}
	return out
}

// queueLocked adds a node to the work without changing what is queued for it; e.mu is held.
func (e *Engine) queueLocked(n namespace.NodeID) {
	if _, queued := e.release[n]; !queued {
		e.release[n] = false
	}
}

// relieve lets go of those of n's staged and held blocks, which own has, that no version needs any
// more, and of those that another device keeps.
func (e *Engine) relieve(ctx context.Context, n namespace.NodeID, own belongings, anybody bool) error {
	let := false
	for _, k := range []cache.Kind{cache.Written, cache.Hold} {
		owner := cache.Owner{Kind: k, Node: n}
		live, err := e.sweep(ctx, owner, own[owner])
		if err != nil {
			return err
		}
		if len(live) == 0 {
			continue
		}
		devs := e.relievers(n)
		if k == cache.Hold && anybody {
			devs = e.online()
		} else if k == cache.Hold { // who asked us to hold it still has it staged: only a pin elsewhere relieves us
			if live, err = e.pinnedAt(ctx, devs, live); err != nil {
				return err
			}
		}
		rest, err := e.askLeave(ctx, devs, n, live, func(granted []blocks.Digest) error {
			let = true
			return e.pins.let(owner, granted)
		})
		if err != nil {
			return err
		}
		e.cfg.Log.Debug("asked to be relieved", "kind", k, "devices", len(devs), "blocks", len(live), "refused", len(rest))
	}
	if let {
		if err := e.announceOwn(ctx, n); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// sweep disowns those of mine, an owner's blocks, that its node shows no more, and returns the others.
//
// What is owned is read before what is needed. Against a conflict copy that has just become a
// file, blocks stay for settleTime after they were first found dead, so that adopt comes first.
// That nothing needs them any more is looked at again when the owner is to lose them; see bury.
func (e *Engine) sweep(ctx context.Context, owner cache.Owner, mine []blocks.Digest) (live []blocks.Digest, err error) {
	if len(mine) == 0 {
		return nil, nil
	}
	contents, err := e.contents(owner.Node)
	if err != nil {
		return nil, err
	}
	needed, err := e.digestsOf(ctx, contents, ForSafety)
	if err != nil {
		return nil, err // a manifest is away: everything stays until it can be read
	}
	var dead []blocks.Digest
	for _, d := range mine {
		if needed[d] {
			live = append(live, d)
		} else {
			dead = append(dead, d)
		}
	}
	if !e.ripe(owner, len(dead) > 0) {
		return live, nil
	}
	return live, e.bury(owner, dead, e.pastOf(ctx, owner.Node, dead), contents)
}

// bury disowns blocks that a node did not need when it had these contents, unless it has others
// by now. Those in past become history first.
//
// A writer at work (stage, commit, settle) asks nobody, and may make any of them needed again at
// any moment. So what was written here goes to the hold first, and only then the contents are
// compared: a settle before that has changed them, and one after it owns the blocks itself. What is
// held is changed under keep alone.
func (e *Engine) bury(owner cache.Owner, dead, past []blocks.Digest, contents []blocks.Content) error {
	e.pins.keep.Lock()
	defer e.pins.keep.Unlock()
	hold := cache.Owner{Kind: cache.Hold, Node: owner.Node}
	var moved []blocks.Digest // to the hold
	if owner != hold {
		held, err := e.owned(hold)
		if err != nil {
			return err
		}
		moved = slices.DeleteFunc(slices.Clone(dead), func(d blocks.Digest) bool { return slices.Contains(held, d) })
		if err := e.cfg.Store.Own(hold, dead...); err != nil {
			return err
		}
		if err := e.cfg.Store.Disown(owner, dead...); err != nil {
			return err
		}
	}
	now, err := e.contents(owner.Node)
	switch {
	case err == nil && slices.Equal(now, contents):
		if owner == hold {
			if err := e.cfg.Store.Own(cache.Owner{Kind: cache.History, Node: owner.Node}, past...); err != nil {
				return err
			}
			return e.cfg.Store.Disown(hold, dead...)
		}
	case owner != hold: // back, all of them: the next sweep looks anew
		if oerr := e.cfg.Store.Own(owner, dead...); oerr != nil {
			return errors.Join(err, oerr)
		}
		err = errors.Join(err, e.cfg.Store.Disown(hold, moved...))
	}
	e.tryRelease(owner.Node) // of the hold, or once more
	return err
}

// ripe reports whether an owner has had dead blocks for long enough; it starts the clock.
func (e *Engine) ripe(owner cache.Owner, hasDead bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	since, known := e.dying[owner]
	switch {
	case !hasDead:
		delete(e.dying, owner)
		return false
	case !known:
		e.dying[owner] = time.Now()
		return false
	case time.Since(since) < settleTime:
		return false
	}
	delete(e.dying, owner)
	return true
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

// contents are all contents that n shows, those of its conflict copies included; none when it
// is gone.
func (e *Engine) contents(n namespace.NodeID) ([]blocks.Content, error) {
	cs, err := e.cfg.Names.Contents(n)
	if gone(err) {
		return nil, nil
	}
	return cs, err
}

// digestsOf is the set of all blocks of some contents, manifests included.
func (e *Engine) digestsOf(ctx context.Context, cs []blocks.Content, u Urgency) (map[blocks.Digest]bool, error) {
	set := map[blocks.Digest]bool{}
	for _, c := range cs {
		for d, err := range e.cfg.Digests(ctx, c, u) {
			if err != nil {
				return nil, err
			}
			set[d] = true
		}
	}
	delete(set, blocks.Digest{}) // a hole
	return set, nil
}
