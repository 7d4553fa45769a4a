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
	told map[ident.DeviceID]bool
	kick chan struct{}
	stop chan struct{}
	out  chan Event
}

// Subscribe gives the changes of reachability; those reachable now come first. A slow reader finds
// only the newest state of each device. stop closes the channel.
func (h *Host) Subscribe() (events <-chan Event, stop func()) {
	s := &subscription{
		host: h, told: map[ident.DeviceID]bool{},
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
	for _, d := range s.host.connectedLocked() {
		if !s.told[d] {
			s.told[d] = true
			return Event{d, true}, true
		}
	}
	for d, was := range s.told {
		if was && !n.reachableLocked(s.host.dev, d) {
			s.told[d] = false
			return Event{d, false}, true
		}
	}
	return Event{}, false
}
