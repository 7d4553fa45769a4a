package placement

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
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

// Grant implements exchange.Keeper: true promises that this device keeps the block for that
// file, durably, until it has itself a grant from another or the file shows it no more.
func (e *Engine) Grant(_ ident.DeviceID, ls []exchange.Leave) [][]bool {
	out, nodes := make([][]bool, len(ls)), make([]namespace.NodeID, len(ls))
	for i, l := range ls {
		out[i], nodes[i] = make([]bool, len(l.Blocks)), l.Node
	}
	before, err := e.belongings(nodes, keeping...)
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
	now, err := e.belongings(nodes, keeping...)
	if err != nil {
		return out
	}
	for i, l := range ls {
		kept0, kept1 := before.keptFor(l.Node), now.keptFor(l.Node)
		if len(kept0) == 0 || len(kept1) == 0 {
			continue
		}
		for k, c := range e.classes(l.Blocks) {
			d := l.Blocks[k]
			out[i][k] = kept(c) && kept0[d] && kept1[d] && e.leaving.n[promise{l.Node, d}] == 0
		}
	}
	return out
}

// leave is the wish to stop keeping blocks of one file.
type leave struct {
	node   namespace.NodeID
	left   []blocks.Digest  // that nobody has granted
	devs   []ident.DeviceID // to be asked, in this order
	pinned bool             // only what one of them keeps for good
	let    func(granted []blocks.Digest) error

	rest    []blocks.Digest // of left, after this round
	granted int
	err     error // of let
}

// askLeave asks for each leave its devices, one after the other, and calls let with what one granted, while that is
// still marked as leaving. What is in left then was granted by nobody. A device's late answer is never used.
func (e *Engine) askLeave(ctx context.Context, all []*leave) error {
	return inRounds(ctx, all, func(dev ident.DeviceID, part []portion) [][]bool {
		asks := make([]exchange.Leave, len(part))
		for i, p := range part {
			asks[i] = exchange.Leave{Node: p.node, Blocks: p.ds}
			defer e.leaving.enter(p.node, p.ds)()
		}
		ctx, cancel := context.WithTimeout(ctx, releaseTime)
		defer cancel()
		answers, err := e.cfg.Peers.Release(ctx, dev, asks)
		if err != nil || len(answers) != len(part) {
			e.cfg.Log.Debug("no answer about keeping", "device", dev.Short(), "err", err)
			return nil
		}
		for i, p := range part {
			answers[i] = p.settle(answers[i])
		}
		return answers
	})
}

// settle takes an answer in, and returns what came of it. The blocks are marked as leaving.
func (p portion) settle(answer []bool) []bool {
	if len(answer) != len(p.ds) || p.err != nil {
		return nil
	}
	var granted []blocks.Digest
	for i, yes := range answer {
		if yes {
			granted = append(granted, p.ds[i])
		}
	}
	if len(granted) == 0 {
		return nil
	}
	if p.err = p.let(granted); p.err != nil {
		return nil
	}
	p.granted += len(granted)
	return answer
}

// onlyPinned leaves, of leaves that want it, what one of their devices keeps for good.
func (e *Engine) onlyPinned(ctx context.Context, all []*leave) error {
	some := slices.DeleteFunc(slices.Clone(all), func(l *leave) bool { return !l.pinned })
	was := make([][]blocks.Digest, len(some))
	for i, l := range some {
		was[i] = l.left
	}
	err := inRounds(ctx, some, func(dev ident.DeviceID, part []portion) [][]bool {
		var ds []blocks.Digest
		for _, p := range part {
			ds = append(ds, p.ds...)
		}
		classes := e.classesAt(ctx, dev, ds)
		pinned := make([][]bool, len(part))
		for i, p := range part {
			for range p.ds {
				pinned[i] = append(pinned[i], classes[0] == exchange.Pinned)
				classes = classes[1:]
			}
		}
		return pinned
	})
	for i, l := range some {
		not := make(map[blocks.Digest]bool, len(l.left))
		for _, d := range l.left {
			not[d] = true
		}
		l.left = slices.DeleteFunc(slices.Clone(was[i]), func(d blocks.Digest) bool { return not[d] })
	}
	return err
}

// portion is what one message asks about one leave.
type portion struct {
	*leave
	ds []blocks.Digest
}

// inRounds calls ask for each leave and each of its devices in turn, until nothing is left of it: for many leaves of
// one device together, as many as a message holds, and for several devices at the same time, but never for two
// portions of one leave. ask tells which blocks of each portion need not be asked about any more; nil: all must.
func inRounds(ctx context.Context, all []*leave, ask func(dev ident.DeviceID, part []portion) [][]bool) error {
	for round := 0; slices.ContainsFunc(all, func(l *leave) bool { return round < len(l.devs) }); round++ {
		by := map[ident.DeviceID][]*leave{}
		for _, l := range all {
			if round < len(l.devs) && len(l.left) > 0 {
				by[l.devs[round]] = append(by[l.devs[round]], l)
			}
		}
		var wg sync.WaitGroup
		for dev, ls := range by {
			wg.Go(func() {
				for part := range messages(ls) {
					var settled [][]bool
					if ctx.Err() == nil {
						settled = ask(dev, part)
					}
					for i, p := range part {
						for k, d := range p.ds {
							if i >= len(settled) || k >= len(settled[i]) || !settled[i][k] {
								p.rest = append(p.rest, d)
							}
						}
					}
				}
				for _, l := range ls {
					l.left, l.rest = l.rest, nil
				}
			})
		}
		wg.Wait()
	}
	return ctx.Err()
}

// messages divides leaves into what one message holds each.
func messages(ls []*leave) iter.Seq[[]portion] {
	return func(yield func([]portion) bool) {
		var part []portion
		room := releaseChunk
		for _, l := range ls {
			for ds := l.left; len(ds) > 0; {
				n := min(len(ds), room)
				part, ds, room = append(part, portion{l, ds[:n:n]}), ds[n:], room-n
				if room > 0 && len(part) < releaseFiles {
					continue
				}
				if !yield(part) {
					return
				}
				part, room = nil, releaseChunk
			}
		}
		if len(part) > 0 {
			yield(part)
		}
	}
}
