package fetch

import (
	"context"
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
	dev       ident.DeviceID
	prio      Priority
	cancel    context.CancelFunc
	rtt       time.Duration
	begun     time.Time
	est       int64 // bytes it is counted as, 0 for an urgent one
	delivered int64 // the device's page at the beginning
	raise     chan Priority
}

func (f *Fetcher) attemptLocked(fl *flight, c Candidate) {
	ctx, cancel := context.WithCancel(fl.ctx)
	a := &attempt{dev: c.Source.Device(), prio: fl.prio, cancel: cancel, rtt: c.RTT, begun: time.Now(), raise: make(chan Priority, priorities)}
	if !a.prio.Urgent() {
		a.est = int64(f.book.size)
	}
	f.flying += a.est
	f.book.began(a)
	fl.attempts = append(fl.attempts, a)
	delete(f.parked, fl)
	f.armLocked(fl)
	r := Request{Digest: fl.digest, Priority: fl.prio, Progress: &fl.progress, Raise: a.raise}
	f.wg.Go(func() { f.run(ctx, fl, a, c.Source, r) })
}

// run makes the request, verifies what comes, hands it on and keeps it.
func (f *Fetcher) run(ctx context.Context, fl *flight, a *attempt, src Source, r Request) {
	defer a.cancel()
	body, err := src.Fetch(ctx, r)
	b := blocks.Sealed{Digest: fl.digest, Bytes: body}
	if err == nil {
		err = b.Verify()
	}
	if err == nil && f.cfg.Verify != nil {
		if verr := f.cfg.Verify(b); verr != nil {
			err = errs.E("fetch.Verify", errs.Corrupt, fl.digest.Short(), verr)
		}
	}
	first := f.landed(fl, a, b, err)
	if first {
		err = f.cfg.Cache.PutBlock(f.ctx, b)
		if err != nil && !errs.Is(err, errs.NoSpace) && f.ctx.Err() == nil {
			f.log.Warn("fetch: a block could not be kept", "block", fl.digest.Short(), "err", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flying -= a.est // only now: what waits for the disk counts too
	f.book.page(a.dev).flying -= a.est
	if first {
		if !fl.asked && fl.waiting[ReadAhead] > 0 {
			f.ahead.put(b)
		}
		f.endLocked(fl, err)
	}
	f.dispatchLocked()
}

// landed takes an attempt's outcome into account. It reports true to the one attempt that brought
// the block: that one puts it into the cache.
func (f *Fetcher) landed(fl *flight, a *attempt, b blocks.Sealed, err error) (first bool) {
	f.mu.Lock()
	now := time.Now()
	f.forgetLocked(fl, a)
	over := fl.over()
	switch {
	case err == nil:
		f.book.ended(a, len(b.Bytes), now)
		f.creditLocked(fl, a.dev, true)
		if !over {
			fl.block, first = b, true
			close(fl.done)
			for _, other := range fl.attempts {
				other.cancel()
			}
			if fl.place != nil {
				fl.place.remove()
			}
		}
	case over:
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
			return
		}
	}
}

func (f *Fetcher) creditLocked(fl *flight, dev ident.DeviceID, hit bool) {
	f.book.page(dev).answered(hit)
	if fl.group != nil {
		fl.group.answered(dev, hit)
	}
}

// failedLocked decides whether a device may be asked again, and sends the flight on its way.
func (f *Fetcher) failedLocked(fl *flight, a *attempt, err error, now time.Time) {
	t := fl.tried[a.dev]
	if t == nil {
		t = &trial{}
		fl.tried[a.dev] = t
	}
	t.kind = errs.KindOf(err)
	switch t.kind {
	case errs.Exhausted, errs.Offline:
		if t.change != f.changes {
			t.change, t.tries = f.changes, 0
		}
		t.again = now.Add(min(retryDelay<<t.tries, maxRetry))
		t.tries++
	case errs.NotExist:
		t.final = true
		f.creditLocked(fl, a.dev, false)
	case errs.Corrupt, errs.Protocol:
		t.final = true
		f.book.lied(a.dev)
		f.log.Warn("fetch: a device sent something else than a block", "device", a.dev.Short(), "block", fl.digest.Short(), "err", err)
		if t.kind == errs.Corrupt {
			f.book.ban(a.dev, fl.digest, now)
		}
	default:
		t.final = true
	}
}
