package placement

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// Freed says what became of one file's local blocks.
type Freed struct {
	Blocks, Bytes         int64
	KeptBlocks, KeptBytes int64
}

// freeing is one file whose blocks are to go, all or none.
type freeing struct {
	leave
	ent  namespace.Entry
	here []blocks.Digest
	done func() // nobody may count on us until they are dropped
}

// Free drops the local blocks of files, of each all or none: only when for each of them another
// device that is connected now grants that it keeps it. One that has all of them merely as cache
// is asked to keep them from now on. Others are asked about many files at once; each is called for every
// file, as soon as it is known, with what became of it. Its errors: Refused: nobody has them all; Offline: nobody is connected.
func (e *Engine) Free(ctx context.Context, files []namespace.Entry, each func(namespace.Entry, Freed, error)) {
	var some []*freeing
	blocks := 0
	for i, ent := range files {
		f := &freeing{ent: ent, here: e.localBlocks(ctx, ent.Content)}
		some, blocks = append(some, f), blocks+len(f.here)
		if i+1 < len(files) && len(some) < askFiles && blocks < askBlocks {
			continue
		}
		e.freeSome(ctx, some, each)
		some, blocks = nil, 0
	}
}

func (e *Engine) freeSome(ctx context.Context, all []*freeing, each func(namespace.Entry, Freed, error)) {
	devs := e.online()
	asks := make([]*leave, 0, len(all))
	for _, f := range all {
		f.leave = leave{node: f.ent.ID, left: f.here, devs: devs, let: func([]blocks.Digest) error { return nil }}
		f.done = e.leaving.enter(f.node, f.here)
		asks = append(asks, &f.leave)
	}
	end := func(f *freeing, err error) {
		freed := Freed{}
		if err != nil {
			freed = e.refuse(f.here)
		} else {
			freed, err = e.drop(ctx, f.ent, f.here)
		}
		f.done()
		each(f.ent, freed, err)
	}
	err := e.askLeave(ctx, asks)
	rest := slices.DeleteFunc(all, func(f *freeing) bool { // these need not wait for the others
		granted := len(f.left) == 0
		if granted {
			end(f, nil)
		}
		return granted
	})
	if err == nil && len(devs) > 0 {
		e.handOver(ctx, devs, slices.DeleteFunc(asks, func(l *leave) bool { return len(l.left) == 0 }))
		err = ctx.Err()
	}
	for _, f := range rest {
		const op = "placement.Free"
		switch {
		case len(f.left) == 0:
			end(f, nil)
		case len(devs) == 0:
			end(f, errs.E(op, errs.Offline, f.ent.Name, nil))
		case err != nil:
			end(f, errs.E(op, errs.Other, f.ent.Name, err))
		default:
			end(f, errs.E(op, errs.Refused, f.ent.Name, nil))
		}
	}
}

// localBlocks lists the blocks of a content that are on this device, each once.
func (e *Engine) localBlocks(ctx context.Context, c blocks.Content) []blocks.Digest {
	set := map[blocks.Digest]bool{}
	for d, err := range e.cfg.Digests(ctx, c, Here) {
		if err != nil { // a manifest that is not here: nothing below it can be named
			break
		}
		if e.class(d) != cache.None {
			set[d] = true
		}
	}
	return slices.Collect(maps.Keys(set))
}

// handOver asks devices that have all of some files, as cache, to keep them, and waits for their grants.
func (e *Engine) handOver(ctx context.Context, devs []ident.DeviceID, all []*leave) {
	for _, dev := range devs {
		taken := e.askHolds(ctx, dev, e.wholeAt(ctx, dev, all))
		for _, l := range taken {
			l.devs = []ident.DeviceID{dev}
		}
		for end := time.Now().Add(releaseTime); time.Now().Before(end) && len(taken) > 0 && ctx.Err() == nil; sleep(ctx, 50*time.Millisecond) {
			if e.askLeave(ctx, taken) != nil {
				return
			}
			taken = slices.DeleteFunc(taken, func(l *leave) bool { return len(l.left) == 0 })
		}
	}
}

// askHolds asks a device to keep files, and returns those that it will: where it has not room for all of them, it is
// asked one by one.
func (e *Engine) askHolds(ctx context.Context, dev ident.DeviceID, ls []*leave) (taken []*leave) {
	if len(ls) == 0 {
		return nil
	}
	nodes := make([]namespace.NodeID, len(ls))
	for i, l := range ls {
		nodes[i] = l.node
	}
	switch err := e.askHold(ctx, dev, nodes); {
	case err == nil:
		return ls
	case len(ls) == 1 || !errs.Is(err, errs.NoSpace):
		return nil
	}
	for i := range ls {
		taken = append(taken, e.askHolds(ctx, dev, ls[i:i+1])...)
	}
	return taken
}

// wholeAt leaves of some files those of which a device has all that nobody granted.
func (e *Engine) wholeAt(ctx context.Context, dev ident.DeviceID, all []*leave) []*leave {
	lacks := map[*leave]bool{}
	for part := range messages(all) {
		var ds []blocks.Digest
		for _, p := range part {
			ds = append(ds, p.ds...)
		}
		classes := e.classesAt(ctx, dev, ds)
		for _, p := range part {
			lacks[p.leave] = lacks[p.leave] || slices.Contains(classes[:len(p.ds)], exchange.None)
			classes = classes[len(p.ds):]
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(l *leave) bool { return len(l.left) == 0 || lacks[l] })
}

// classesAt asks a device how it keeps blocks; one that does not answer has none.
func (e *Engine) classesAt(ctx context.Context, dev ident.DeviceID, ds []blocks.Digest) []exchange.Class {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	classes, err := e.cfg.Peers.Have(ctx, dev, ds)
	if err != nil || len(classes) != len(ds) {
		return make([]exchange.Class, len(ds))
	}
	return classes
}

// drop lets go of blocks whose release has been granted just now. Only of these: while we asked,
// the file may have been written anew, and nobody has granted that.
func (e *Engine) drop(ctx context.Context, ent namespace.Entry, here []blocks.Digest) (Freed, error) {
	var f Freed
	if err := e.setUnlessInherited(ent.ID, namespace.Cloud); err != nil {
		return f, err
	}
	e.keepNow(ent.ID, ent.Versions, false)
	if err := e.pins.drop(ent.ID, here); err != nil {
		return f, err
	}
	e.pins.consider(ent.ID) // the rest, if there is one, is no longer pinned
	for _, d := range here {
		n := e.size(d)
		if err := e.cfg.Store.Drop(ctx, d); err != nil {
			return f, err
		}
		if e.class(d) == cache.None {
			f.Blocks++
			f.Bytes += n
		} else { // another file here keeps the same block
			f.KeptBlocks++
			f.KeptBytes += n
		}
	}
	return f, nil
}

func (e *Engine) refuse(here []blocks.Digest) (f Freed) {
	for _, d := range here {
		f.KeptBlocks++
		f.KeptBytes += e.size(d)
	}
	return f
}
