package p2p

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

const (
	guestBytes    = 64 << 10         // what a stranger may send
	guestMute     = 15 * time.Second // how long one may be connected without a stream
	guestTime     = 15 * time.Minute // how long at all: a person has to answer a question
	guestFarewell = 2 * time.Second  // for the last bytes to arrive
)

// GuestsOpen lets strangers connect, for the guest protocols only. It is closed at the start; closing it
// ends the connections of strangers that are not joining right now.
func (h *Host) GuestsOpen(open bool) {
	h.gate.setGuests(open)
	if !open {
		for _, id := range h.host.Network().Peers() {
			if !h.gate.allowed(id) && !h.gate.isCalled(id) && !h.isGuest(id) && !h.isAsked(id) && !h.passes(id) {
				_ = h.host.Network().ClosePeer(id)
			}
		}
	}
}

// HandleGuest calls fn in a goroutine of its own for a stream of a peer that is not (yet) one of us, while
// GuestsOpen: one stream at a time, of at most 64 KiB from the stranger. When fn returns the stream is
// closed and then the connection, unless the Directory allows the peer by then.
func (h *Host) HandleGuest(protocolID string, fn func(transport ident.TransportKey, s wire.Stream)) {
	h.host.SetStreamHandler(protocol.ID(protocolID), func(s network.Stream) {
		id := s.Conn().RemotePeer()
		key, ok := transportKey(id)
		if !ok || !(h.gate.guestsOpen() || h.gate.allowed(id)) || !h.enter(id) {
			_ = s.Reset()
			return
		}
		defer func() {
			_ = s.Close()
			h.farewell(s.Conn())
			h.leave(id)
		}()
		_ = s.SetDeadline(time.Now().Add(guestTime))
		fn(key, &metered{Stream: s, left: guestBytes})
	})
}

// enter notes that a guest has its one stream; false when it has one already.
func (h *Host) enter(id peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.guests[id] {
		return false
	}
	h.guests[id] = true
	return true
}

func (h *Host) leave(id peer.ID) { h.mu.Lock(); delete(h.guests, id); h.mu.Unlock() }

func (h *Host) isGuest(id peer.ID) bool { h.mu.Lock(); defer h.mu.Unlock(); return h.guests[id] }

// farewell closes a guest's connection a little later, unless it belongs to one of us then.
func (h *Host) farewell(c network.Conn) {
	h.later(guestFarewell, func() {
		if !h.gate.allowed(c.RemotePeer()) {
			_ = c.Close()
		}
	})
}

// watchGuest ends a stranger's connection that comes to nothing or lasts too long.
func (h *Host) watchGuest(c network.Conn) {
	if h.gate.isCalled(c.RemotePeer()) {
		return // we are the guest
	}
	h.later(guestMute, func() {
		if h.gate.allowed(c.RemotePeer()) {
			return
		}
		if !h.isGuest(c.RemotePeer()) {
			_ = c.Close()
			return
		}
		h.later(guestTime, func() {
			if !h.gate.allowed(c.RemotePeer()) {
				_ = c.Close()
			}
		})
	})
}

// later runs fn after a time, unless the host is closed first.
func (h *Host) later(after time.Duration, fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.wg.Go(func() {
		t := time.NewTimer(after)
		defer t.Stop()
		select {
		case <-t.C:
			fn()
		case <-h.ctx.Done():
		}
	})
}

// OpenGuest connects to a device that is not in the Directory, for joining it, at the given addresses and
// at those that it announces on the local network. Offline when nothing answers there, Refused when
// something does but lets no guest in (or is another device). Closing the stream closes the connection,
// unless the Directory allows the peer by then.
func (h *Host) OpenGuest(ctx context.Context, transport ident.TransportKey, addrs []string, protocolID string) (wire.Stream, error) {
	const op = "p2p.OpenGuest"
	id, err := peerID(transport)
	if err != nil {
		return nil, err
	}
	done := h.gate.calling(id)
	s, err := h.openGuest(ctx, id, addrs, protocolID)
	if err != nil {
		done()
		if errs.Is(err, errs.Refused) {
			return nil, errs.E(op, errs.Refused, "the other device lets no guest in", err)
		}
		var dial *swarm.DialError
		if ctx.Err() == nil && errors.As(err, &dial) && reached(dial) {
			return nil, errs.E(op, errs.Refused, "the other device lets no guest in", err)
		}
		return nil, openError(ctx, op, "", err)
	}
	return &guestStream{Stream: s, end: sync.OnceFunc(func() {
		done()
		h.farewell(s.Conn())
	})}, nil
}

func (h *Host) openGuest(ctx context.Context, id peer.ID, addrs []string, protocolID string) (network.Stream, error) {
	h.mu.Lock()
	addrs = mergeAddrs(addrs, h.found[id])
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	if err := h.reach(ctx, id, addrs); err != nil {
		return nil, err
	}
	s, err := h.host.NewStream(network.WithNoDial(ctx, "connected"), id, protocol.ID(protocolID))
	var unsupported multistream.ErrNotSupported[protocol.ID]
	if err != nil && ctx.Err() == nil && !errors.As(err, &unsupported) {
		err = errs.E("p2p", errs.Refused, "connected, and hung up on", err)
	}
	return s, err
}

// reached reports whether somebody answered at one of the addresses and then did not want us.
func reached(e *swarm.DialError) bool {
	for _, t := range e.DialErrors {
		if errors.Is(t.Cause, io.EOF) || isReset(t.Cause) {
			return true
		}
	}
	return false
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// metered bounds what a stranger may send.
type metered struct {
	network.Stream
	mu   sync.Mutex
	left int
}

func (m *metered) Read(b []byte) (int, error) {
	m.mu.Lock()
	left := m.left
	m.mu.Unlock()
	if left == 0 && len(b) > 0 {
		_ = m.Reset()
		return 0, errs.E("p2p.Read", errs.Protocol, "a guest sent too much", nil)
	}
	n, err := m.Stream.Read(b[:min(len(b), left)])
	m.mu.Lock()
	m.left -= n
	m.mu.Unlock()
	return n, err
}

// guestStream is the joiner's end.
type guestStream struct {
	network.Stream
	end func()
}

func (g *guestStream) Close() error { defer g.end(); return g.Stream.Close() }
func (g *guestStream) Reset() error { defer g.end(); return g.Stream.Reset() }
