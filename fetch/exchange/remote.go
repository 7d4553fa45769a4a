package exchange

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// The lanes to a device: what is urgent never waits behind what is not.
const (
	laneUrgent = iota
	laneAhead
	laneBulk
	laneTalk // have and release
	lanes
)

const (
	openTimeout = 15 * time.Second // to open a stream
	talkTimeout = 30 * time.Second // for the answer to a have or release
)

// Lock order: remote.mu or lane.mu, then Exchange.mu. remote.mu and lane.mu are never held together.

// remote is one device as we know it: the lanes on which we ask it, the gate through which we
// serve it. It is the device's fetch.Source.
type remote struct {
	x        *Exchange
	dev      ident.DeviceID
	tally    tally
	received atomic.Uint64 // bytes on all lanes, for the watch over slow peers

	gate    *gate
	serving atomic.Int32 // streams of theirs that we serve

	mu    sync.Mutex
	lanes [lanes]*opening
}

// opening is a lane, or the attempt to open one; lane and err are set when ready is closed.
type opening struct {
	ready chan struct{}
	lane  *lane
	err   error
}

func laneOf(p fetch.Priority) int {
	switch p {
	case fetch.OnDemand:
		return laneUrgent
	case fetch.ReadAhead:
		return laneAhead
	}
	return laneBulk
}

// Device is the device that is asked.
func (r *remote) Device() ident.DeviceID { return r.dev }

// Fetch asks for one block; see fetch.Source for its errors.
func (r *remote) Fetch(ctx context.Context, q fetch.Request) ([]byte, error) {
	ask, hear := question{kind: kindGet, priority: q.Priority, digests: digests(q.Digest)}, arriving{q.Progress, q.Sum, q.Room}
	switch {
	case q.Along != nil:
		ask.kind, ask.next, hear.sum, hear.room = kindWalk, q.Next, nil, nil
	case q.Part.Len > 0:
		ask.kind, ask.part = kindPart, q.Part
	}
	body, err := r.ask(ctx, laneOf(q.Priority), ask, hear, q.Raise)
	if err != nil {
		return nil, errs.E("exchange.Fetch", errs.Other, q.Digest.Short(), err)
	}
	count, bytes := 1, len(body)
	if q.Along != nil {
		var along []blocks.Sealed
		if body, along, err = parseBundle(body); err != nil {
			return nil, err
		}
		count, bytes = 1+len(along), len(body)
		for _, b := range along {
			bytes += len(b.Bytes)
			q.Along(b)
		}
	}
	r.tally.in(count, bytes)
	r.x.totals.in(count, bytes)
	return body, nil
}

// talk asks a question whose answer has one byte for each digest.
func (r *remote) talk(ctx context.Context, q question) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, talkTimeout)
	defer cancel()
	body, err := r.ask(ctx, laneTalk, q, arriving{}, nil)
	if err == nil && len(body) != q.items() {
		err = errs.E("exchange.talk", errs.Protocol, "length of the answer", nil)
	}
	return body, err
}

func (r *remote) ask(ctx context.Context, which int, q question, a arriving, raise <-chan fetch.Priority) ([]byte, error) {
	l, err := r.lane(ctx, which)
	if err != nil {
		return nil, err
	}
	return l.ask(ctx, q, a, raise)
}

// lane returns the lane, opening it when there is none; many callers share one opening, which
// goes on when a caller leaves.
func (r *remote) lane(ctx context.Context, which int) (*lane, error) {
	r.mu.Lock()
	o := r.lanes[which]
	if o == nil {
		o = &opening{ready: make(chan struct{})}
		if !r.x.spawn(func() { r.open(which, o) }) {
			r.mu.Unlock()
			return nil, errs.E("exchange", errs.Closed, "", nil)
		}
		r.lanes[which] = o
	}
	r.mu.Unlock()
	select {
	case <-o.ready:
		return o.lane, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *remote) open(which int, o *opening) {
	ctx, cancel := context.WithTimeout(r.x.ctx, openTimeout)
	defer cancel()
	r.x.spawn(func() { r.watchOpening(ctx) })
	s, err := r.x.cfg.Network.Open(wire.WithoutDial(ctx), r.dev, Protocol) // who is asked is connected, or was a moment ago
	if err == nil {
		o.lane = newLane(r, s, func() { r.drop(which, o) })
		if !o.lane.start() {
			err = errs.E("exchange", errs.Closed, "", nil)
			o.lane.fail(err)
		}
	}
	if err != nil {
		o.lane, o.err = nil, err
		r.drop(which, o)
	}
	close(o.ready)
}

// watchOpening tells of the silence of a device that does not answer even when a lane is opened. ctx
// ends with that.
func (r *remote) watchOpening(ctx context.Context) {
	if r.x.cfg.Silent == nil {
		return
	}
	tick := time.NewTicker(silence)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.x.cfg.Silent(r.dev)
		}
	}
}

// drop makes the next caller open the lane anew.
func (r *remote) drop(which int, o *opening) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lanes[which] == o {
		r.lanes[which] = nil
	}
}

// close fails every lane that is open.
func (r *remote) close(err error) {
	r.mu.Lock()
	all := r.lanes
	r.mu.Unlock()
	for _, o := range all {
		if o == nil {
			continue
		}
		<-o.ready
		if o.lane != nil {
			o.lane.fail(err)
		}
	}
}
