package fetch

import (
	"context"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// flight is the one way of one block to this device, or of a part of one to its reader. Guarded by Fetcher.mu, but for
// done, block, opened and err: those are set before done is closed and never change.
type flight struct {
	digest blocks.Digest
	part   *Part // all that is wanted of the block; nil: the block
	group  *Group
	begun  time.Time
	ctx    context.Context // of all attempts
	cancel context.CancelFunc
	past   uint64 // bytes that arrived in attempts that are over

	waiting [priorities]int // waiters of each priority
	prio    Priority        // the most urgent of them
	urgent  time.Time       // when it became OnDemand
	hurry   chan struct{}   // closed once it is, or was, more urgent than Pin
	hurried bool
	asked   bool            // a Get waited for it: not to be held as read ahead
	holders int             // Gets that wait for it
	next    blocks.Stretch  // it is a manifest, and this is needed of it
	notify  []chan<- stored // told once, when the block is in the cache or never will be
	wanted  []*Wanted       // to be told to forget it

	boarding bool   // whoever wants it makes the first attempt
	first    func() // that attempt

	place    *place // in a queue
	attempts []*attempt
	drops    int // attempts that were given up because nothing came
	tried    map[ident.DeviceID]*trial
	timer    *time.Timer // hedge, deadline, end of grace
	moved    time.Time   // when an attempt was last seen to bring something

	done   chan struct{}
	block  blocks.Sealed
	opened []byte // of a part
	err    error
}

// stored is what FetchAll hears.
type stored struct {
	digest blocks.Digest
	err    error
}

// trial is what a device did for a flight so far.
type trial struct {
	tries  int       // times it was busy or broke off, while no device came or went
	change uint64    // Fetcher.changes at the last of them
	again  time.Time // not to be asked before; meaningless when final
	final  bool      // not to be asked again
	kind   errs.Kind // of its last answer
}

// over reports whether the flight has its block or its error; for those who hold Fetcher.mu.
func (fl *flight) over() bool {
	select {
	case <-fl.done:
		return true
	default:
		return false
	}
}

// trial is what is known of a device, made when missing.
func (fl *flight) trial(dev ident.DeviceID) *trial {
	t := fl.tried[dev]
	if t == nil {
		t = &trial{}
		fl.tried[dev] = t
	}
	return t
}

// waiter is one who wants a block: a Get (neither notify nor wanted), a FetchAll or a Want.
type waiter struct {
	prio   Priority
	group  *Group
	next   blocks.Stretch
	notify chan<- stored
	wanted *Wanted
}

// joinLocked adds a waiter to d's flight, starting it when there is none.
func (f *Fetcher) joinLocked(d blocks.Digest, w waiter) (*flight, error) {
	p := w.prio
	if f.closed {
		return nil, errs.E("fetch", errs.Closed, "", nil)
	}
	fl := f.flights[d]
	if fl == nil {
		fl = f.newFlight(d, w)
		f.flights[d] = fl
		f.queues[p].push(fl)
	}
	if fl.group.loose && !w.group.loose {
		f.regroupLocked(fl, w.group)
	}
	if fl.next.Len == 0 {
		fl.next = w.next
	}
	fl.waiting[p]++
	switch {
	case w.notify != nil:
		fl.notify = append(fl.notify, w.notify)
	case w.wanted != nil:
		fl.wanted = append(fl.wanted, w.wanted)
		w.wanted.flights[fl] = struct{}{}
	default:
		fl.asked = true
	}
	raised := p < fl.prio
	if raised {
		f.raiseLocked(fl, p)
	}
	f.dispatchLocked()
	if raised || fl.timer == nil {
		f.armLocked(fl)
	}
	return fl, nil
}

func (f *Fetcher) newFlight(d blocks.Digest, w waiter) *flight {
	now := time.Now()
	fl := &flight{
		digest: d, group: w.group, prio: w.prio, begun: now, moved: now, urgent: now,
		tried: map[ident.DeviceID]*trial{}, done: make(chan struct{}), hurry: make(chan struct{}),
	}
	fl.ctx, fl.cancel = context.WithCancel(f.ctx)
	return fl
}

// holdLocked is for a Get that has joined: it is to hold the block, and unholdLocked for one that gives up.
func (fl *flight) holdLocked() {
	fl.holders++
	fl.block.Hold()
}

func (fl *flight) unholdLocked() {
	fl.holders--
	fl.block.Done()
}

// regroupLocked is for a flight of which it shows later what it belongs to.
func (f *Fetcher) regroupLocked(fl *flight, g *Group) {
	if fl.place == nil {
		fl.group = g
		return
	}
	fl.place.remove()
	fl.group = g
	f.queues[fl.prio].push(fl)
}

// raiseLocked makes a flight more urgent, and tells the devices that are being asked.
func (f *Fetcher) raiseLocked(fl *flight, p Priority) {
	if p.Urgent() {
		fl.urgent = time.Now()
	}
	if p <= ReadAhead && fl.prio > ReadAhead && !fl.hurried {
		fl.hurried = true
		close(fl.hurry)
	}
	fl.prio = p
	if fl.over() {
		return
	}
	if fl.place != nil {
		fl.place.remove()
		f.queues[p].push(fl)
	}
	for _, a := range fl.attempts {
		if p < a.prio {
			a.prio = p
			a.raise <- p // has room for every priority
		}
	}
}

// leaveLocked takes a waiter away. The last one to leave ends a flight that is not under way; one that is
// goes on for a moment, because whoever was interrupted tends to come back.
func (f *Fetcher) leaveLocked(fl *flight, p Priority) {
	if fl.part != nil { // it has no other
		f.failLocked(fl, errs.E("fetch", errs.Interrupted, "", nil))
		return
	}
	fl.waiting[p]--
	if f.flights[fl.digest] != fl {
		return
	}
	next := Priority(priorities)
	for q := range fl.waiting {
		if fl.waiting[q] > 0 {
			next = Priority(q)
			break
		}
	}
	switch {
	case next < priorities:
		fl.prio = next
	case len(fl.attempts) > 0:
		time.AfterFunc(f.lim.Linger, func() { f.abandon(fl) })
		return
	default:
		f.failLocked(fl, errs.E("fetch", errs.Interrupted, "", nil))
	}
	if fl.place != nil {
		fl.place.remove()
		f.queues[fl.prio].push(fl)
	}
}

// abandon ends a flight that nobody waits for.
func (f *Fetcher) abandon(fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flights[fl.digest] == fl && fl.waiting == [priorities]int{} {
		f.failLocked(fl, errs.E("fetch", errs.Interrupted, "", nil))
	}
}

// failLocked ends a flight that has no block.
func (f *Fetcher) failLocked(fl *flight, err error) {
	if fl.over() {
		return // it has its block, and is being put into the cache
	}
	fl.err = err
	f.noteLocked(fl, err)
	f.endLocked(fl, err)
	close(fl.done)
}

// endLocked forgets a flight and tells who waits for the block to be in the cache.
func (f *Fetcher) endLocked(fl *flight, err error) {
	if fl.part == nil {
		delete(f.flights, fl.digest)
	}
	delete(f.parts, fl)
	delete(f.parked, fl)
	if fl.place != nil {
		fl.place.remove()
	}
	if fl.timer != nil {
		fl.timer.Stop()
	}
	fl.cancel()
	for _, ch := range fl.notify {
		ch <- stored{fl.digest, err} // capacity for every one of them
	}
	for _, w := range fl.wanted {
		delete(w.flights, fl)
	}
	fl.notify, fl.wanted = nil, nil
}
