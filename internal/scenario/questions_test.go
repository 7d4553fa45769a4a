package scenario

import (
	"context"
	"encoding/binary"
	"maps"
	"sync"

	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// The kinds of questions of the exchange protocol.
const (
	askedGet     = 1
	askedRelease = 4
	askedWalk    = 6
)

// asking is what one device asks another.
type asking struct {
	from, to ident.DeviceID
	kind     byte
}

// questions counts what devices ask each other about blocks.
type questions struct {
	mu sync.Mutex
	n  map[asking]int
}

// count is the number of questions of a kind so far that match a filter.
func (q *questions) count(kind byte, match func(from, to ident.DeviceID) bool) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for a, c := range maps.All(q.n) {
		if a.kind == kind && match(a.from, a.to) {
			n += c
		}
	}
	return n
}

// tap is a stream whose frames are counted.
type tap struct {
	wire.Stream
	q        *questions
	from, to ident.DeviceID
	rest     []byte // of a frame that is not whole yet
}

func (s *tap) Write(b []byte) (int, error) {
	s.rest = append(s.rest, b...)
	for len(s.rest) >= 5 {
		n := 4 + int(binary.BigEndian.Uint32(s.rest))
		if len(s.rest) < n {
			break
		}
		s.q.mu.Lock()
		if s.q.n == nil {
			s.q.n = map[asking]int{}
		}
		s.q.n[asking{s.from, s.to, s.rest[4]}]++
		s.q.mu.Unlock()
		s.rest = s.rest[n:]
	}
	return s.Stream.Write(b)
}

// Open counts what is asked on the stream.
func (h *memoryHost) Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error) {
	s, err := h.open(ctx, dev, protocol)
	if err != nil || protocol != exchange.Protocol {
		return s, err
	}
	return &tap{Stream: s, q: &h.m.asked, from: h.account.Self().ID, to: dev}, nil
}
