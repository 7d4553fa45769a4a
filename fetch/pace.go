package fetch

import "time"

// Need is what a block is asked for, and over which way: what a Pacer judges by.
type Need struct {
	Priority Priority
	Awaited  bool // of a pin: a person waits for it
	Path     Path
}

// Pacer makes room for others on this machine and its networks. It answers from memory, for it is asked
// under a lock.
type Pacer interface {
	// Held reports whether nothing may be asked for until the machine or its network is another. A block that
	// can only be had so fails with Busy.
	Held(Need) bool
	// Rest is for how long nothing may be asked for; 0: it may now.
	Rest(Need) time.Duration
	// Count takes note of bytes that are asked for; n < 0 of those that did not come.
	Count(n Need, bytes int64)
}

// waker looks into the queues when a rest is over. Guarded by Fetcher.mu.
type waker struct {
	timer *time.Timer
	at    time.Time // zero: it is not set
}

func (g *Group) need(p Priority, path Path) Need {
	return Need{Priority: p, Awaited: g.awaited, Path: path}
}

// Awaited says that a person waits for the group's blocks, be they fetched at Pin. To be called before
// anything is fetched. It returns the group.
func (g *Group) Awaited() *Group {
	g.awaited = true
	return g
}

// heldLocked reports whether a flight may not use a way now.
func (f *Fetcher) heldLocked(fl *flight, p Path) bool {
	return f.cfg.Pacer != nil && f.cfg.Pacer.Held(fl.group.need(fl.prio, p))
}

// restsLocked reports whether a flight may not ask a device for a while, at the end of which the queues are looked at.
func (f *Fetcher) restsLocked(fl *flight, c Candidate, now time.Time) bool {
	if f.book.yields(c, fl.prio, now) && now.Before(f.book.breath) {
		f.wakeLocked(f.book.breath)
		return true
	}
	if f.cfg.Pacer == nil {
		return false
	}
	rest := f.cfg.Pacer.Rest(fl.group.need(fl.prio, c.Path))
	if rest > 0 {
		f.wakeLocked(time.Now().Add(rest))
	}
	return rest > 0
}

func (f *Fetcher) wakeLocked(at time.Time) {
	if !f.waker.at.IsZero() && !at.Before(f.waker.at) || f.closed {
		return
	}
	if f.waker.timer != nil {
		f.waker.timer.Stop()
	}
	f.waker.at = at
	f.waker.timer = time.AfterFunc(time.Until(at), func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.closed {
			return
		}
		f.waker.at = time.Time{}
		f.dispatchLocked()
	})
}

// countLocked counts what a request is likely to bring; recountLocked corrects that when it is over. One that
// was given up is taken to bring all of it: it is on its way.
func (f *Fetcher) countLocked(a *attempt, n Need) {
	if f.cfg.Pacer != nil {
		a.need = n
		f.cfg.Pacer.Count(n, a.est)
	}
}

func (f *Fetcher) recountLocked(a *attempt, came int64, given bool) {
	if f.cfg.Pacer == nil {
		return
	}
	if given {
		came = max(came, a.est)
	}
	f.cfg.Pacer.Count(a.need, came-a.est)
}

// heldBackLocked reports whether a connected device could be asked, if it were not held.
func (f *Fetcher) heldBackLocked(fl *flight) bool {
	for _, c := range f.devices {
		if t := fl.tried[c.Source.Device()]; c.Connected && (t == nil || !t.final) && f.heldLocked(fl, c.Path) {
			return true
		}
	}
	return false
}
