package fetch

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// Before a device is asked again that was busy or broke off; the delay doubles up to its maximum.
const (
	retryDelay = 100 * time.Millisecond
	maxRetry   = time.Second
	maxTries   = 5 // while no device comes or goes
)

// attempt is one request to one device for one flight.
type attempt struct {
	dev      ident.DeviceID
	prio     Priority
	urgent   bool // it was when the device was asked
	cancel   context.CancelFunc
	begun    time.Time
	progress atomic.Uint64 // bytes that arrived
	seen     uint64        // of those, at the last look
	moved    time.Time     // when that last grew
	raise    chan Priority
	part     bool  // it brings a part of a block
	held     int64 // memory set aside for it
	settled  bool  // and given back
	left     bool  // its device has nothing to do with it any more
	dropped  bool  // given up, because nothing came of it

	need Need // as it was counted

	// For the device's page.
	path      Path
	est       int64 // bytes it is counted as
	busy      bool  // the device had enough to do when it was asked
	delivered int64 // what it had delivered by then
}

func (f *Fetcher) attemptLocked(fl *flight, c Candidate) {
	ctx, cancel := context.WithCancel(fl.ctx)
	now := time.Now()
	a := &attempt{dev: c.Source.Device(), prio: fl.prio, urgent: fl.prio.Urgent(), cancel: cancel, begun: now, moved: now,
		raise: make(chan Priority, priorities), part: fl.part != nil, held: f.book.largest(), est: int64(f.expects(fl))}
	if a.part {
		a.held = a.est
	}
	if len(fl.attempts) == 0 && len(fl.tried) == 0 {
		fl.moved = now // its turn has come
	}
	f.load.add(a.urgent, a.held)
	f.book.began(a, c, f.lim.PerSource)
	f.countLocked(a, fl.group.need(a.prio, c.Path))
	fl.attempts = append(fl.attempts, a)
	delete(f.parked, fl)
	f.armLocked(fl)
	r := Request{Digest: fl.digest, Priority: fl.prio, Progress: &a.progress, Raise: a.raise}
	var along []blocks.Sealed
	if a.part {
		r.Part = fl.part.Span
	} else if a.urgent && fl.next.Len > 0 && len(fl.attempts) == 1 { // one that is beside another is only to be quick
		r.Next, r.Along = fl.next, func(b blocks.Sealed) { along = append(along, b) }
	} else if a.urgent { // others are checked beside each other, which is quicker for many
		r.Sum = blocks.NewSummer()
	}
	into := borrowed{m: &f.memory}
	if r.Along == nil { // what comes along shares the memory with it
		r.Room = into.room
	}
	f.wg.Add(1)
	run := func() {
		defer f.wg.Done()
		f.run(ctx, fl, a, c.Source, r, &into, &along)
	}
	if fl.boarding {
		fl.boarding, fl.first = false, run
		return
	}
	go run()
}

// settleLocked gives back what an attempt was counted as.
func (f *Fetcher) settleLocked(a *attempt) {
	if a.settled {
		return
	}
	a.settled = true
	f.load.add(a.urgent, -a.held)
	f.leftLocked(a)
}

// leftLocked is for an attempt whose device has answered, or is not waited for any more.
func (f *Fetcher) leftLocked(a *attempt) {
	if !a.left {
		a.left = true
		f.book.left(a)
	}
}

// run makes the request, verifies what comes, hands it on and keeps it.
func (f *Fetcher) run(ctx context.Context, fl *flight, a *attempt, src Source, r Request, into *borrowed, along *[]blocks.Sealed) {
	defer a.cancel()
	body, err := src.Fetch(ctx, r)
	defer f.work(ctx, fl, r.Priority)()
	b := blocks.Sealed{Digest: fl.digest}
	var opened []byte
	if err == nil {
		b = into.lend(fl.digest, body)
		defer b.Done() // when nobody can join the flight any more
		if a.part {
			opened, err = fl.part.Open(b.Bytes)
		} else {
			err = r.Sum.Verify(b)
		}
	}
	if err == nil {
		f.cameAlong(a, *along)
	}
	first := f.landed(fl, a, b, opened, err)
	if first {
		f.came(b.Digest, a.dev)
	}
	if first && !a.part {
		if a.urgent {
			runtime.Gosched() // to who waits: what is done for the cache takes a while
		}
		err = f.keep(b)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settleLocked(a) // only now: what waits for the disk counts too
	if first {
		if !a.part && !fl.asked && fl.waiting[ReadAhead] > 0 {
			f.ahead.put(held{Sealed: b})
		}
		f.endLocked(fl, err)
	}
	f.dispatchLocked()
}

// keep puts a block into the cache.
func (f *Fetcher) keep(b blocks.Sealed) error {
	err := f.cfg.Cache.PutBlock(f.ctx, b)
	if err != nil && !errs.Is(err, errs.NoSpace) && f.ctx.Err() == nil {
		f.log.Warn("fetch: a block could not be kept", "block", b.Digest.Short(), "err", err)
	}
	return err
}

func (f *Fetcher) came(d blocks.Digest, dev ident.DeviceID) {
	if f.cfg.Came != nil {
		f.cfg.Came(d, dev)
	}
}

// adopt keeps what came along, now that somebody asked for it.
func (f *Fetcher) adopt(h held) {
	f.came(h.Digest, h.from)
	_ = f.keep(h.Sealed)
}

// cameAlong takes what a device sent along with a manifest, before the reader of that hears of it. It is only held in
// memory until somebody asks for it: what nobody needs does not get into the cache.
func (f *Fetcher) cameAlong(a *attempt, bs []blocks.Sealed) {
	for _, b := range bs {
		err := b.Verify()
		f.mu.Lock()
		f.book.page(a.dev).delivered += int64(len(b.Bytes))
		switch {
		case err != nil:
			f.liedLocked(a.dev, b.Digest, err, time.Now())
		case f.flights[b.Digest] == nil:
			f.ahead.put(held{b, a.dev, true})
		}
		f.mu.Unlock()
		if err != nil && f.cfg.Report != nil {
			f.cfg.Report(Report{Device: a.dev, Digest: b.Digest, Err: err})
		}
	}
}

// work waits until a block may be checked and kept: those that nobody waits for take at most half of the
// processors, or each step of something urgent would wait for its turn behind them. Call done at the end.
func (f *Fetcher) work(ctx context.Context, fl *flight, p Priority) (done func()) {
	if p <= ReadAhead {
		return func() {}
	}
	select {
	case f.workers <- struct{}{}:
		return func() { <-f.workers }
	case <-fl.hurry:
	case <-ctx.Done():
	}
	return func() {}
}

// landed takes an attempt's outcome into account. It reports true to the one attempt that brought
// the block: that one puts it into the cache.
func (f *Fetcher) landed(fl *flight, a *attempt, b blocks.Sealed, opened []byte, err error) (first bool) {
	f.mu.Lock()
	now := time.Now()
	f.forgetLocked(fl, a)
	f.leftLocked(a)
	over := fl.over()
	f.recountLocked(a, max(int64(len(b.Bytes)), int64(a.progress.Load())), errs.Is(err, errs.Interrupted))
	switch {
	case err == nil:
		f.broughtLocked(fl, a, len(b.Bytes), now)
		if !over {
			fl.block, fl.opened, first = b, opened, true
			for range fl.holders {
				b.Hold()
			}
			close(fl.done)
			f.hedges.earn(len(b.Bytes))
			f.overtookLocked(fl, now)
			if fl.place != nil {
				fl.place.remove()
			}
		}
	case over || a.dropped:
	default:
		f.failedLocked(fl, a, err, now)
	}
	if _, parked := f.parked[fl]; !fl.over() && !parked && fl.place == nil && len(fl.attempts) == 0 {
		f.queues[fl.prio].push(fl)
	}
	f.mu.Unlock()
	if err != nil && f.cfg.Report != nil && !over && isLie(err) {
		f.cfg.Report(Report{Device: a.dev, Digest: fl.digest, Err: err})
	}
	return first
}

func isLie(err error) bool { return errs.Is(err, errs.Corrupt) || errs.Is(err, errs.Protocol) }

func (f *Fetcher) forgetLocked(fl *flight, a *attempt) {
	for i, other := range fl.attempts {
		if other == a {
			fl.attempts = append(fl.attempts[:i], fl.attempts[i+1:]...)
			fl.past += a.progress.Load()
			return
		}
	}
}

// broughtLocked is for an attempt that brought a block of n bytes, needed or not.
func (f *Fetcher) broughtLocked(fl *flight, a *attempt, n int, now time.Time) {
	f.arrived = now
	f.book.page(a.dev).quiet.hears(now)
	f.book.ended(a, n, now)
	if !a.part {
		fl.group.brought(n)
	}
	f.creditLocked(fl, a.dev, true)
	if !a.settled {
		f.load.add(a.urgent, int64(n)-a.held)
		a.held = int64(n)
	}
}

// overtookLocked ends the attempts that another one overtook. They took at least so long, and are known for
// it, or a device that is always too slow would never be known to be.
func (f *Fetcher) overtookLocked(fl *flight, now time.Time) {
	for _, a := range fl.attempts {
		a.cancel()
		p := f.book.page(a.dev)
		if a.urgent && !a.part && a.path == p.path {
			p.waits.add(now.Sub(a.begun))
		}
		if a.progress.Load() == 0 {
			p.quiet.missed(a.begun, now, false)
		}
	}
}

func (f *Fetcher) creditLocked(fl *flight, dev ident.DeviceID, hit bool) {
	f.book.page(dev).answered(hit)
	fl.group.answered(dev, hit)
}

// failedLocked decides whether a device may be asked again, and sends the flight on its way.
func (f *Fetcher) failedLocked(fl *flight, a *attempt, err error, now time.Time) {
	t, p := fl.trial(a.dev), f.book.page(a.dev)
	t.kind = errs.KindOf(err)
	switch t.kind {
	case errs.Exhausted, errs.Offline:
		p.failed()
		f.laterLocked(t, now)
	case errs.NotExist:
		t.final = true
		p.quiet.hears(now)
		f.creditLocked(fl, a.dev, false)
	case errs.Corrupt, errs.Protocol:
		t.final = true
		f.liedLocked(a.dev, fl.digest, err, now)
	default:
		p.failed()
		t.final = true
	}
}

// liedLocked remembers that a device sent something else than a block.
func (f *Fetcher) liedLocked(dev ident.DeviceID, d blocks.Digest, err error, now time.Time) {
	f.book.lied(dev)
	f.log.Warn("fetch: a device sent something else than a block", "device", dev.Short(), "block", d.Short(), "err", err)
	if errs.Is(err, errs.Corrupt) {
		f.book.ban(dev, d, now)
	}
}

// laterLocked says when a device may be asked again.
func (f *Fetcher) laterLocked(t *trial, now time.Time) {
	if t.change != f.changes {
		t.change, t.tries = f.changes, 0
	}
	t.again = now.Add(min(retryDelay<<t.tries, maxRetry))
	t.tries++
}
