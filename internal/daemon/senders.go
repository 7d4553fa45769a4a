package daemon

import (
	"sync"
	"sync/atomic"

	"github.com/shelffs/shelf/internal/hydration"
	"github.com/shelffs/shelf/internal/ident"
)

// senders hears which device sent which block, and remembers it of the last ones: who brings files to keep them hears
// a moment later only that a block is here.
type senders struct {
	gate atomic.Pointer[hydration.Gate] // which is told too, once there is one

	mu   sync.Mutex
	by   map[digest]ident.DeviceID
	last [maxSenders]digest // a ring
	next int
}

// maxSenders is more than can have come and not been told yet.
const maxSenders = 4096

func (s *senders) came(d digest, dev ident.DeviceID) {
	if g := s.gate.Load(); g != nil {
		g.Came(d, dev)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[digest]ident.DeviceID{}
	}
	if _, known := s.by[d]; !known {
		delete(s.by, s.last[s.next])
		s.last[s.next] = d
		s.next = (s.next + 1) % maxSenders
	}
	s.by[d] = dev
}

// sender is the device that sent a block a moment ago, if one did.
func (s *senders) sender(d digest) (dev ident.DeviceID, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dev, ok = s.by[d]
	return dev, ok
}
