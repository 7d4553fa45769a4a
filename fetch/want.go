package fetch

import (
	"context"
	"iter"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// Wanted is a set of blocks being fetched ahead of need.
type Wanted struct {
	f         *Fetcher
	prio      Priority
	flights   map[*flight]struct{} // guarded by f.mu, as is cancelled
	cancelled bool
}

// Want starts fetching ds, in their order, and returns at once. Failures are silent: whoever
// needs a block then asks for it with Get. They are a Group.
func (f *Fetcher) Want(p Priority, ds ...blocks.Digest) *Wanted { return f.want(f.Group(), p, ds) }

func (f *Fetcher) want(g *Group, p Priority, ds []blocks.Digest) *Wanted {
	w := &Wanted{f: f, prio: p.clamp(), flights: map[*flight]struct{}{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && len(ds) > 0 {
		ds = append([]blocks.Digest(nil), ds...)
		f.wg.Go(func() { w.feed(g, ds) })
	}
	return w
}

// Ahead is Want at ReadAhead, in a form that needs no type of this package.
func (f *Fetcher) Ahead(ds ...blocks.Digest) (cancel func()) { return f.Want(ReadAhead, ds...).Cancel }

// Cancel says that nobody needs them any more. Repeated calls are harmless.
func (w *Wanted) Cancel() {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	w.cancelled = true
	for fl := range w.flights {
		w.f.leaveLocked(fl, w.prio)
	}
	clear(w.flights)
}

// feed starts the flights, beside the caller of Want, because it may look into the cache.
func (w *Wanted) feed(g *Group, ds []blocks.Digest) {
	g.follow()
	for _, d := range ds {
		if !w.f.under(d) && w.f.present(d) {
			continue
		}
		w.f.mu.Lock()
		if w.cancelled || w.f.closed {
			w.f.mu.Unlock()
			return
		}
		if h, ok := w.f.ahead.claim(d); ok {
			w.f.wg.Go(func() { w.f.adopt(h) })
		}
		if !w.f.ahead.has(d) {
			_, _ = w.f.joinLocked(d, waiter{prio: w.prio, group: g, wanted: w})
		}
		w.f.mu.Unlock()
	}
}

// under reports whether a block is on its way or at hand.
func (f *Fetcher) under(d blocks.Digest) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flights[d] != nil || f.ahead.has(d)
}

// flying reports whether a block is on its way.
func (f *Fetcher) flying(d blocks.Digest) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flights[d] != nil
}

// allWindow is how many flights one FetchAll keeps in the queues. It bounds memory, not bandwidth.
const allWindow = 1024

// FetchAll brings every block of ds into the cache, many at once, and calls each for every one
// (from the calling goroutine, not in order; a digest that repeats may be told once) with nil
// or the reason why it is not in the cache: as of Get, or NoSpace. It returns when all are done
// or, with an error, when ctx ends or the Fetcher is closed. They are a Group.
func (f *Fetcher) FetchAll(ctx context.Context, p Priority, ds iter.Seq[blocks.Digest], each func(blocks.Digest, error)) error {
	return f.fetchAll(ctx, f.Group(), p, ds, each)
}

func (f *Fetcher) fetchAll(ctx context.Context, g *Group, p Priority, ds iter.Seq[blocks.Digest], each func(blocks.Digest, error)) error {
	b := &bulk{f: f, prio: p.clamp(), each: each, group: g, told: make(chan stored, allWindow), out: map[blocks.Digest]*flight{}}
	defer b.leave()
	g.follow()
	for d := range ds {
		if err := b.add(ctx, d); err != nil {
			return err
		}
	}
	for len(b.out) > 0 {
		if err := b.hear(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bulk is one FetchAll.
type bulk struct {
	f     *Fetcher
	prio  Priority
	each  func(blocks.Digest, error)
	group *Group
	told  chan stored // capacity for all of out
	out   map[blocks.Digest]*flight
}

func (b *bulk) add(ctx context.Context, d blocks.Digest) error {
	for len(b.out) >= allWindow || len(b.told) > 0 {
		if err := b.hear(ctx); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return errs.E("fetch.FetchAll", errs.Other, "", err)
	}
	if b.out[d] != nil {
		return nil
	}
	if b.f.present(d) {
		b.each(d, nil)
		return nil
	}
	b.f.mu.Lock()
	fl, err := b.f.joinLocked(d, waiter{prio: b.prio, group: b.group, notify: b.told})
	b.f.mu.Unlock()
	if err == nil {
		b.out[d] = fl
	}
	return err
}

// hear waits for one flight to end.
func (b *bulk) hear(ctx context.Context) error {
	select {
	case s := <-b.told:
		delete(b.out, s.digest)
		b.each(s.digest, s.err)
		return nil
	case <-ctx.Done():
		return errs.E("fetch.FetchAll", errs.Other, "", ctx.Err())
	}
}

func (b *bulk) leave() {
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	for _, fl := range b.out {
		b.f.leaveLocked(fl, b.prio)
	}
}
