package p2p

import (
	"sync"

	"github.com/shelffs/shelf/internal/ident"
)

// hub tells subscribers which devices are connected. A slow subscriber misses what came and went, but
// never that a connection was lost: a device that is there again is told as gone, then as connected.
type hub struct {
	mu     sync.Mutex
	now    map[ident.DeviceID]uint64 // connected devices, with the number of this connectedness
	last   uint64
	subs   map[*subscriber]struct{}
	closed bool
}

type subscriber struct {
	told map[ident.DeviceID]uint64 // what it has heard; guarded by hub.mu
	kick chan struct{}
	done chan struct{}
	out  chan Event
}

func newHub() *hub { return &hub{now: map[ident.DeviceID]uint64{}, subs: map[*subscriber]struct{}{}} }

// set says whether a device is connected; lost, that a connection of it ended, though another may be left.
func (b *hub) set(dev ident.DeviceID, connected, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.now[dev]
	switch {
	case connected && (was == 0 || lost):
		b.last++
		b.now[dev] = b.last
	case !connected && was != 0:
		delete(b.now, dev)
	default:
		return
	}
	for s := range b.subs {
		s.wake()
	}
}

func (b *hub) subscribe() (<-chan Event, func()) {
	s := &subscriber{
		told: map[ident.DeviceID]uint64{}, kick: make(chan struct{}, 1),
		done: make(chan struct{}), out: make(chan Event),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		close(s.out)
		return s.out, func() {}
	}
	b.subs[s] = struct{}{}
	s.wake()
	go b.feed(s)
	return s.out, func() { b.unsubscribe(s) }
}

func (b *hub) unsubscribe(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.subs[s]; ok {
		delete(b.subs, s)
		close(s.done)
	}
}

func (b *hub) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.subs {
		delete(b.subs, s)
		close(s.done)
	}
}

func (s *subscriber) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (b *hub) feed(s *subscriber) {
	defer close(s.out)
	for {
		select {
		case <-s.done:
			return
		case <-s.kick:
		}
		for e, ok := b.next(s); ok; e, ok = b.next(s) {
			select {
			case <-s.done:
				return
			case s.out <- e:
			}
		}
	}
}

// next finds one difference between what is true and what was told.
func (b *hub) next(s *subscriber) (Event, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for dev, n := range s.told {
		if b.now[dev] != n {
			delete(s.told, dev)
			return Event{dev, false}, true
		}
	}
	for dev, n := range b.now {
		if s.told[dev] == 0 {
			s.told[dev] = n
			return Event{dev, true}, true
		}
	}
	return Event{}, false
}
