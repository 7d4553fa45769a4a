package simnet

import "github.com/shelffs/shelf/internal/ident"

// Event is the same type as p2p.Event.
type Event = struct {
	Device    ident.DeviceID
	Connected bool
}

// subscription feeds one subscriber. want is what is true, told what the subscriber has heard;
// both are guarded by Net.mu.
type subscription struct {
	host *Host
	told map[ident.DeviceID]uint64
	kick chan struct{}
	stop chan struct{}
	out  chan Event
}

// Subscribe gives the changes of reachability; those reachable now come first. A slow reader misses what
// came and went, but never that streams were broken: a device that is there again is told as gone, then
// as connected. stop closes the channel.
func (h *Host) Subscribe() (events <-chan Event, stop func()) {
	s := &subscription{
		host: h, told: map[ident.DeviceID]uint64{},
		kick: make(chan struct{}, 1), stop: make(chan struct{}), out: make(chan Event),
	}
	h.net.mu.Lock()
	h.subs[s] = struct{}{}
	s.updateLocked()
	h.net.mu.Unlock()
	go s.run()
	return s.out, func() {
		h.net.mu.Lock()
		_, live := h.subs[s]
		delete(h.subs, s)
		h.net.mu.Unlock()
		if live {
			close(s.stop)
		}
	}
}

func (s *subscription) updateLocked() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *subscription) run() {
	defer close(s.out)
	for {
		select {
		case <-s.stop:
			return
		case <-s.kick:
		}
		for e, ok := s.next(); ok; e, ok = s.next() {
			select {
			case <-s.stop:
				return
			case s.out <- e:
			}
		}
	}
}

// next finds one difference between what is true and what was told.
func (s *subscription) next() (Event, bool) {
	n := s.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	now := map[ident.DeviceID]uint64{}
	for _, d := range s.host.connectedLocked() {
		now[d] = n.wayLocked(s.host.dev, d).breaks + 1
	}
	for d, was := range s.told {
		if now[d] != was {
			delete(s.told, d)
			return Event{d, false}, true
		}
	}
	for _, d := range s.host.connectedLocked() {
		if s.told[d] == 0 {
			s.told[d] = now[d]
			return Event{d, true}, true
		}
	}
	return Event{}, false
}
