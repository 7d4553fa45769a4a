package p2p

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// A device may be one of us without our knowing it: it was let in while we were away. So a stranger who
// calls is asked one question on a stream that we open. Until the answer has made him a member he is served
// nothing: strangers come at the gate's rate (guestBurst, guestEvery), each is gone after strangerTime, and
// who was no member is turned away for ever longer.
const (
	strangerTime  = 5 * time.Second // to answer
	strangerPings = 4               // of his that wait for what comes of it
)

// HandleStranger lets strangers call, and registers both ends of a protocol. ask is called, in a goroutine of
// its own, for a stranger that has called, with a stream to him of which it can read limit bytes: if the
// Directory allows him when it returns he stays, otherwise he is hung up on. answer is called when a device
// of the Directory asks us. Guests that do not speak the protocol remain guests while GuestsOpen.
func (h *Host) HandleStranger(protocolID string, limit int, ask func(transport ident.TransportKey, s wire.Stream), answer func(s wire.Stream)) {
	h.mu.Lock()
	h.asks = question{protocol.ID(protocolID), limit, ask}
	h.mu.Unlock()
	h.Handle(protocolID, func(dev ident.DeviceID, s wire.Stream) {
		defer func() { _ = s.Reset() }()
		h.mu.Lock()
		l := h.links[dev]
		h.mu.Unlock()
		if l == nil {
			return
		}
		l.doubt() // it does not know us: what we have opened, it has refused
		_ = s.SetDeadline(time.Now().Add(strangerTime))
		answer(s)
		_ = s.CloseWrite()
		_, _ = io.Copy(io.Discard, io.LimitReader(s, 1)) // until it has made up its mind
		l.check()
	})
	h.gate.setStrangers()
}

// question is what strangers are asked.
type question struct {
	protocol protocol.ID
	limit    int
	ask      func(transport ident.TransportKey, s wire.Stream)
}

// asked is a stranger that is being asked.
type asked struct {
	done  chan struct{}
	pings int // that have waited
}

// meet asks a stranger that has called, unless that is under way or was in vain lately.
func (h *Host) meet(c network.Conn) {
	id := c.RemotePeer()
	key, ok := transportKey(id)
	if !ok || c.Stat().Direction != network.DirInbound || !h.gate.mayAsk(id) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	q, now := h.asks, &asked{done: make(chan struct{})}
	if h.closed || q.ask == nil || h.asking[id] != nil {
		return
	}
	h.asking[id] = now
	h.wg.Go(func() {
		unsupported := h.askOn(c, q, key)
		if other := h.besides(c); other != nil { // he called at several addresses, and keeps this one
			unsupported = h.askOn(other, q, key)
		}
		member := h.gate.allowed(id)
		switch {
		case member:
			h.gate.welcome(id)
			h.Refresh()
		case unsupported && h.gate.guestsOpen():
		default:
			h.gate.turnAway(id)
			h.hangUp(id)
		}
		h.mu.Lock()
		delete(h.asking, id)
		h.mu.Unlock()
		close(now.done)
	})
}

// besides is another connection to the same peer if c has been closed; else nil.
func (h *Host) besides(c network.Conn) network.Conn {
	if !c.IsClosed() {
		return nil
	}
	for _, other := range h.host.Network().ConnsToPeer(c.RemotePeer()) {
		if !other.IsClosed() {
			return other
		}
	}
	return nil
}

// askOn asks on one connection. It reports whether the other side does not know the question.
func (h *Host) askOn(c network.Conn, q question, key ident.TransportKey) (unsupported bool) {
	ctx, cancel := context.WithTimeout(h.ctx, strangerTime)
	defer cancel()
	s, err := openOn(ctx, c, q.protocol)
	if err != nil {
		var not multistream.ErrNotSupported[protocol.ID]
		return errors.As(err, &not)
	}
	defer func() { _ = s.Reset() }()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	q.ask(key, &metered{Stream: s, left: q.limit})
	return false
}

// openOn opens a stream on this very connection.
func openOn(ctx context.Context, c network.Conn, id protocol.ID) (network.Stream, error) {
	s, err := c.NewStream(network.WithNoDial(ctx, "on this connection"))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	if err = s.SetProtocol(id); err == nil {
		err = multistream.SelectProtoOrFail(id, s)
	}
	if err != nil {
		_ = s.Reset()
		return nil, err
	}
	return s, nil
}

func (h *Host) hangUp(id peer.ID) {
	for _, c := range h.host.Network().ConnsToPeer(id) {
		_ = c.CloseWithError(network.ConnGated)
	}
}

// isAsked reports whether a stranger is being asked now.
func (h *Host) isAsked(id peer.ID) bool { h.mu.Lock(); defer h.mu.Unlock(); return h.asking[id] != nil }

// awaitAsked waits for what comes of asking a stranger, if that is under way.
func (h *Host) awaitAsked(id peer.ID) {
	h.mu.Lock()
	a := h.asking[id]
	if a != nil {
		a.pings++
		if a.pings > strangerPings {
			a = nil
		}
	}
	h.mu.Unlock()
	if a != nil {
		<-a.done // within strangerTime
	}
}

// turned remembers who was no member, each for a while that doubles from turnedFirst to turnedMost.
type turned struct {
	mu sync.Mutex
	by map[peer.ID]turn
}

type turn struct {
	until time.Time
	pause time.Duration
}

const (
	turnedFirst = time.Second
	turnedMost  = 10 * time.Minute
	maxTurned   = 256 // remembered
)

func (t *turned) add(id peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, pause := time.Now(), turnedFirst
	if old, ok := t.by[id]; ok && now.Before(old.until.Add(turnedMost)) {
		pause = min(2*old.pause, turnedMost)
	} else if len(t.by) >= maxTurned {
		clear(t.by)
	}
	t.by[id] = turn{now.Add(pause), pause}
}

func (t *turned) remove(id peer.ID) { t.mu.Lock(); defer t.mu.Unlock(); delete(t.by, id) }

// has reports whether the peer was turned away and its time is not over.
func (t *turned) has(id peer.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.by[id].until)
}
