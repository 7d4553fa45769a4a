package fetch

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// Part is a stretch of a block that is read without the rest.
type Part struct {
	Digest blocks.Digest
	Span   blocks.Span
	// Open makes of the block's header, and the stretch behind it, what the reader wants. Corrupt: they are not what
	// they should be. It may be called more than once, and keeps nothing of sent.
	Open func(sent []byte) ([]byte, error)
}

// GetPart brings a stretch of a block, from the cache or from a device, and returns what open makes of it, as Part has
// it. It is not kept. Errors as for Get; Corrupt also when it is the one in the cache that does not open.
func (f *Fetcher) GetPart(ctx context.Context, d blocks.Digest, s blocks.Span, open func(sent []byte) ([]byte, error)) ([]byte, error) {
	return f.loose.GetPart(ctx, Part{d, s, open}, OnDemand)
}

// GetPart is Fetcher.GetPart for a block of the group.
func (g *Group) GetPart(ctx context.Context, p Part, prio Priority) ([]byte, error) {
	if out, err := g.f.localPart(ctx, p); !errs.Is(err, errs.NotExist) {
		return out, err
	}
	prio = prio.clamp()
	fl, first, err := g.f.depart(&p, waiter{prio: prio, group: g})
	if err != nil {
		return nil, err
	}
	leave := func() {
		g.f.mu.Lock()
		defer g.f.mu.Unlock()
		g.f.leaveLocked(fl, prio)
	}
	if first != nil { // nobody else has to be woken for it, nor to tell what came of it
		stop := context.AfterFunc(ctx, leave)
		first()
		stop()
	}
	select {
	case <-fl.done:
	case <-ctx.Done():
		leave() // now it is done
	}
	if fl.err != nil && ctx.Err() != nil {
		return nil, errs.E("fetch.GetPart", errs.Other, p.Digest.Short(), ctx.Err())
	}
	return fl.opened, fl.err
}

// Rest asks for all of a block when there is nothing else to be done.
func (f *Fetcher) Rest(d blocks.Digest) (cancel func()) { return f.loose.Rest(d) }

// Rest is Fetcher.Rest for a block of the group.
func (g *Group) Rest(d blocks.Digest) (cancel func()) { return g.Want(Background, d).Cancel }

// depart starts the flight of a part. It has one waiter, who has to make the first attempt if one can be made now.
func (f *Fetcher) depart(p *Part, w waiter) (_ *flight, first func(), err error) {
	w.group.follow()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, nil, errs.E("fetch", errs.Closed, "", nil)
	}
	if err := f.lapsedLocked(p.Digest); err != nil && w.prio.Urgent() {
		return nil, nil, err
	}
	fl := f.newFlight(p.Digest, w)
	fl.part, fl.boarding = p, true
	f.parts[fl] = struct{}{}
	f.queues[w.prio].push(fl)
	fl.waiting[w.prio]++
	f.dispatchLocked()
	f.armLocked(fl)
	fl.boarding = false
	return fl, fl.first, nil
}

// parter is a cache that need not read all of a block for a part of it.
type parter interface {
	GetPart(ctx context.Context, d blocks.Digest, p blocks.Span, room func(n int) []byte) ([]byte, error)
}

// localPart takes a part of what was read ahead, or of the cache; NotExist: it is in neither.
func (f *Fetcher) localPart(ctx context.Context, p Part) ([]byte, error) {
	h, ok := f.takeAhead(p.Digest)
	if ok {
		defer h.Done()
	} else if c, is := f.cfg.Cache.(parter); is {
		into := borrowed{m: &f.memory}
		b, err := c.GetPart(ctx, p.Digest, p.Span, into.room)
		if err != nil {
			return nil, f.notHere(p.Digest, err)
		}
		sent := into.lend(p.Digest, b)
		defer sent.Done()
		return p.Open(sent.Bytes)
	} else {
		b, err := f.read(ctx, p.Digest)
		if err != nil {
			return nil, f.notHere(p.Digest, err)
		}
		defer b.Done()
		h.Sealed = b
	}
	sent, err := h.AppendPart(nil, p.Span)
	if err != nil {
		return nil, err
	}
	return p.Open(sent)
}

// notHere makes of whatever the cache says that it does not have a block.
func (f *Fetcher) notHere(d blocks.Digest, err error) error {
	if !errs.Is(err, errs.NotExist) {
		f.log.Debug("fetch: the cache did not give a block", "block", d.Short(), "err", err)
	}
	return errs.E("fetch", errs.NotExist, d.Short(), nil)
}

// expects is how many bytes are likely to come in a flight.
func (f *Fetcher) expects(fl *flight) float64 {
	if fl.part != nil {
		return blocks.HeadLen + float64(fl.part.Span.Len)
	}
	return f.book.likely(fl.group)
}
