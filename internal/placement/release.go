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
	releaseFiles   = 1024                   // files in one question
	gatherTime     = 50 * time.Millisecond  // files that are to be asked about come one after the other: so long they gather
	releaseWorkers = 8                      // nodes looked at at once
	askFiles       = 4096                   // files that are asked about together
	askBlocks      = 1 << 16                // and their blocks
	settleTime     = 300 * time.Millisecond // quiet after a local write before we say that we keep it
)

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
			sleep(ctx, gatherTime)
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

// relieveAll works on several nodes at once, because some need a manifest from elsewhere, and asks about many in one
// message.
func (e *Engine) relieveAll(ctx context.Context, todo map[namespace.NodeID]bool) {
	warn := func(err error) {
		if err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn("blocks not released", "err", err)
		}
	}
	var asks []*leave
	blocks := 0
	flush := func() {
		warn(e.relieve(ctx, asks))
		asks, blocks = nil, 0
	}
	for nodes := range slices.Chunk(slices.SortedFunc(maps.Keys(todo), namespace.NodeID.Compare), lookUp) {
		own, err := e.belongings(nodes, cache.Written, cache.Hold)
		if err != nil {
			warn(err)
			continue
		}
		nodes = slices.DeleteFunc(nodes, func(n namespace.NodeID) bool { return !own.any(n) })
		for _, more := range each(ctx, nodes, func(n namespace.NodeID) []*leave {
			ls, err := e.needless(ctx, n, own, todo[n])
			warn(err)
			return ls
		}) {
			for _, l := range more {
				asks, blocks = append(asks, l), blocks+len(l.left)
			}
			if len(asks) >= askFiles || blocks >= askBlocks {
				flush()
			}
		}
	}
	flush()
}

// each calls do for all nodes, several at a time, and returns the results in order; none for those left when ctx ends.
func each[T any](ctx context.Context, nodes []namespace.NodeID, do func(namespace.NodeID) T) []T {
	out := make([]T, len(nodes))
	var wg sync.WaitGroup
	room := make(chan struct{}, releaseWorkers)
	for i, n := range nodes {
		if ctx.Err() != nil {
			break
		}
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			out[i] = do(n)
		})
	}
	wg.Wait()
	return out
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

// needless disowns those of n's staged and held blocks, which own has, that no version needs any more, and returns
// what may be asked of others about the rest.
func (e *Engine) needless(ctx context.Context, n namespace.NodeID, own belongings, anybody bool) (asks []*leave, err error) {
	for _, k := range []cache.Kind{cache.Written, cache.Hold} {
		owner := cache.Owner{Kind: k, Node: n}
		live, err := e.sweep(ctx, owner, own[owner])
		if err != nil {
			return asks, err
		}
		if len(live) == 0 {
			continue
		}
		l := leave{node: n, left: live, devs: e.relievers(n)}
		l.let = func(granted []blocks.Digest) error { return e.pins.let(owner, granted) }
		if k == cache.Hold && anybody {
			l.devs = e.online()
		} else if k == cache.Hold { // who asked us to hold it still has it staged: only a pin elsewhere relieves us
			l.pinned = true
		}
		asks = append(asks, &l)
	}
	return asks, nil
}

// relieve lets go of what another device keeps.
func (e *Engine) relieve(ctx context.Context, asks []*leave) error {
	if len(asks) == 0 {
		return nil
	}
	if err := e.onlyPinned(ctx, asks); err != nil {
		return err
	}
	asked := 0
	for _, l := range asks {
		asked += len(l.left)
	}
	err := e.askLeave(ctx, asks)
	var let []namespace.NodeID
	refused := 0
	for _, l := range asks {
		err = errors.Join(err, l.err)
		refused += len(l.left)
		if l.granted > 0 && (len(let) == 0 || let[len(let)-1] != l.node) { // a file's leaves follow one another
			let = append(let, l.node)
		}
	}
	e.cfg.Log.Debug("asked to be relieved", "files", len(asks), "blocks", asked, "refused", refused)
	for _, aerr := range each(ctx, let, func(n namespace.NodeID) error { return e.announceOwn(ctx, n) }) {
		if aerr != nil && !gone(aerr) {
			err = errors.Join(err, aerr)
		}
	}
	return err
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
func (e *Engine) digestsOf(ctx context.Context, cs []blocks.Content, u Urgency, holders ...ident.DeviceID) (map[blocks.Digest]bool, error) {
	set := map[blocks.Digest]bool{}
	for _, c := range cs {
		for d, err := range e.cfg.Digests(ctx, c, u, holders...) {
			if err != nil {
				return nil, err
			}
			set[d] = true
		}
	}
	delete(set, blocks.Digest{}) // a hole
	return set, nil
}
