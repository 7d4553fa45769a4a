package p2p

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/shelffs/shelf/internal/errs"
)

// MaxRelays is at how many a device waits.
const MaxRelays = 4

// RelayState is one relay of SetRelays now.
type RelayState struct {
	Addr    RelayAddr
	Waiting bool  // this device can be reached through it
	Err     error // why not, as of the last attempt; nil before the first
}

// place is this device's at a relay.
type place struct {
	addr RelayAddr
	stop context.CancelFunc
	lost chan struct{} // capacity 1: the connection may be gone
	left chan struct{} // closed when it was left, with the connection

	// Guarded by Host.mu.
	waiting bool
	err     error
}

// SetRelays replaces the relays at which this device waits for those that cannot reach it directly. What goes
// through one that is left is cut.
func (h *Host) SetRelays(addrs []RelayAddr) error {
	if len(addrs) > MaxRelays {
		return errs.E("p2p.SetRelays", errs.Exhausted, "relays", nil)
	}
	for _, p := range h.leavePlaces(addrs) {
		<-p.left // it may be the same relay at another address
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errs.E("p2p.SetRelays", errs.Closed, "", nil)
	}
	for _, a := range addrs {
		if h.places[a.id] != nil {
			continue
		}
		ctx, stop := context.WithCancel(h.ctx)
		p := &place{addr: a, stop: stop, lost: make(chan struct{}, 1), left: make(chan struct{})}
		h.places[a.id] = p
		h.wg.Go(func() { h.hold(ctx, p) })
	}
	return nil
}

// leavePlaces gives up the places that are at none of the addresses, and returns them.
func (h *Host) leavePlaces(addrs []RelayAddr) (gone []*place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, p := range h.places {
		if !slices.Contains(addrs, p.addr) {
			p.stop()
			delete(h.places, id)
			gone = append(gone, p)
		}
	}
	return gone
}

// Relays are those of SetRelays, by their place.
func (h *Host) Relays() []RelayState {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]RelayState, 0, len(h.places))
	for _, p := range h.places {
		out = append(out, RelayState{p.addr, p.waiting, p.err})
	}
	slices.SortFunc(out, func(a, b RelayState) int { return cmp.Compare(a.Addr.String(), b.Addr.String()) })
	return out
}

// hold keeps this device's place at a relay until ctx ends.
func (h *Host) hold(ctx context.Context, p *place) {
	done := h.gate.calling(p.addr.id)
	defer func() {
		done()
		_ = h.host.Network().ClosePeer(p.addr.id)
		close(p.left)
	}()
	for pause, lost := firstPause, time.Now(); ctx.Err() == nil; {
		held, err := h.wait(ctx, p)
		h.mu.Lock()
		p.waiting, p.err = false, err
		h.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		h.log.Debug("p2p: no place at a relay", "relay", p.addr.Place(), "err", err)
		if held {
			pause, lost = firstPause, time.Now()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		if pause = min(2*pause, farPause); time.Since(lost) < eager {
			pause = min(pause, nearPause)
		}
	}
}

// wait takes the place and returns when it is lost; held tells that it was taken.
func (h *Host) wait(ctx context.Context, p *place) (held bool, err error) {
	select {
	case <-p.lost: // what was lost before
	default:
	}
	if err := h.greet(ctx, p.addr, relayEnters, "", dialTimeout); err != nil {
		return false, err
	}
	if err := h.reserve(ctx, p.addr.id); err != nil {
		return false, err
	}
	if err := h.greet(ctx, p.addr, relayWaits, "", pingTimeout); err != nil {
		return false, err
	}
	h.mu.Lock()
	p.waiting, p.err = true, nil
	h.mu.Unlock()
	h.log.Info("p2p: waiting at a relay", "relay", p.addr.Place())
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-p.lost:
		case <-tick.C:
		}
		if h.host.Network().Connectedness(p.addr.id) != network.Connected {
			return true, errs.E("p2p.Relay", errs.Offline, "the connection was lost", nil)
		}
		if err := h.greet(ctx, p.addr, relayWaits, "", pingTimeout); err != nil {
			_ = h.host.Network().ClosePeer(p.addr.id)
			return true, err
		}
	}
}

// reserve takes a place at a relay that knows us. libp2p waits a minute for the answer, whatever ctx says.
func (h *Host) reserve(ctx context.Context, id peer.ID) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = h.host.Network().ClosePeer(id) })()
	if _, err := client.Reserve(ctx, h.host, peer.AddrInfo{ID: id}); err != nil {
		return errs.E("p2p.Relay", errs.Refused, "the relay has no place", err)
	}
	return nil
}

// greet calls a relay, if need be, and says its secret, and what for. Offline: it does not answer. Refused: it has
// another secret. NotExist: whoever is sought is not there.
func (h *Host) greet(ctx context.Context, a RelayAddr, verb relayVerb, sought peer.ID, limit time.Duration) error {
	const op = "p2p.Relay"
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	at, err := a.multiaddr()
	if err != nil {
		return errs.E(op, errs.Invalid, "the relay", err)
	}
	h.host.Peerstore().ClearAddrs(a.id) // it may have had another
	h.host.Peerstore().AddAddrs(a.id, []ma.Multiaddr{at}, peerstore.TempAddrTTL)
	h.forgive(a.id)
	s, err := h.host.NewStream(ctx, a.id, relayProtocol)
	if err != nil {
		return openError(ctx, op, "the relay", err)
	}
	defer func() { _ = s.Reset() }()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	if _, err := s.Write(relayHello{a.secret, verb, sought}.encode()); err != nil {
		return openError(ctx, op, "the relay", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(s, answer[:]); err != nil {
		return openError(ctx, op, "the relay", err)
	}
	switch answer[0] {
	case relayWelcome:
		return nil
	case relayAbsent:
		return errs.E(op, errs.NotExist, "the device is not at the relay", nil)
	}
	return errs.E(op, errs.Refused, "the relay", errors.New("the secret in its address is not the relay's any more"))
}

// checkRelays looks at all places now.
func (h *Host) checkRelays() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.places {
		p.look()
	}
}

func (p *place) look() {
	select {
	case p.lost <- struct{}{}:
	default:
	}
}

// relayLost notes that a connection has ended: to a relay, or through one.
func (h *Host) relayLost(c network.Conn) {
	h.mu.Lock()
	if p := h.places[c.RemotePeer()]; p != nil {
		p.look()
	}
	h.mu.Unlock()
	if id := relayOf(c.RemoteMultiaddr()); id != "" {
		h.leaveRelay(id)
	}
}

// leaveRelay hangs up on a relay at which we do not wait and that nothing goes through.
func (h *Host) leaveRelay(id peer.ID) {
	if h.gate.isCalled(id) || h.gate.allowed(id) || h.passes(id) {
		return
	}
	_ = h.host.Network().ClosePeer(id)
}

// passes reports whether a connection goes through the relay.
func (h *Host) passes(id peer.ID) bool {
	return slices.ContainsFunc(h.host.Network().Conns(), func(c network.Conn) bool {
		return !c.IsClosed() && relayOf(c.RemoteMultiaddr()) == id
	})
}
