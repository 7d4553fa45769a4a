package p2p

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// relayLater is how long the direct ways to a device have before one through a relay is tried beside them.
const relayLater = 500 * time.Millisecond

// directAfter is how long the direct ways have once a relay could not connect us: libp2p does not try an address
// twice while it tries others of that device.
const directAfter = 3 * time.Second

var (
	errNoWay     = errors.New("no address is known")
	errNoCircuit = errors.New("the relay does not connect us")
)

// reach makes one attempt to connect to a peer: at its addresses, and if that takes longer or fails through the
// relays among them.
func (h *Host) reach(ctx context.Context, id peer.ID, addrs []string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // whoever comes second has no need to go on

	direct, through := make(chan error, 1), make(chan error, 1)
	wg.Go(func() { direct <- h.dialDirect(ctx, id, toMultiaddrs(addrs)) })
	relays := relaysOf(addrs)
	if len(relays) == 0 {
		return <-direct
	}
	var failed error // of the direct ways
	pause := relayLater
	for {
		select {
		case err := <-direct:
			if err == nil {
				return nil
			}
			failed = err
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		wg.Go(func() { through <- h.dialThrough(ctx, id, relays) })
		select {
		case err := <-through:
			if err == nil || failed != nil {
				return err
			}
			if errors.Is(err, errNoCircuit) {
				cutOff := time.AfterFunc(directAfter, cancel)
				defer cutOff.Stop()
				return <-direct
			}
		case failed = <-direct:
			if failed == nil {
				return nil
			}
			return <-through
		}
		pause = nearPause // addresses that lead nowhere take long to fail: the relay may be back before
	}
}

// forgive has libp2p forget that it could not reach a peer: that would keep us from one that is just back.
func (h *Host) forgive(id peer.ID) {
	if sw, ok := h.host.Network().(*swarm.Swarm); ok {
		sw.Backoff().Clear(id)
	}
}

// dialDirect makes one attempt at all addresses. A connection through a relay does not count.
func (h *Host) dialDirect(ctx context.Context, id peer.ID, addrs []ma.Multiaddr) error {
	if len(addrs) == 0 {
		return errNoWay
	}
	first, later := apart(addrs)
	h.host.Peerstore().ClearAddrs(id)
	if len(later) == 0 {
		return h.dialAt(ctx, id, first)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tried := make(chan error, 1)
	wg.Go(func() { tried <- h.dialAt(ctx, id, first) })
	select {
	case err := <-tried:
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !slices.ContainsFunc(later, func(a ma.Multiaddr) bool { return !isNear(a) }) {
			defer time.AfterFunc(knockQUIC, cancel).Stop()
		}
	case <-time.After(quicLater):
	}
	return h.dialAt(ctx, id, later) // beside the others
}

// dialAt dials a peer at these addresses as well, beside those at which it is dialled already.
func (h *Host) dialAt(ctx context.Context, id peer.ID, addrs []ma.Multiaddr) error {
	h.host.Peerstore().AddAddrs(id, addrs, peerstore.TempAddrTTL)
	h.forgive(id)
	_, err := h.host.Network().DialPeer(network.WithForceDirectDial(ctx, "a relay is no way to stay"), id)
	return err
}

// dialThrough looks for the device at all relays at once.
func (h *Host) dialThrough(ctx context.Context, id peer.ID, relays []RelayAddr) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tried := make(chan error, len(relays))
	for _, a := range relays {
		wg.Go(func() { tried <- h.dialVia(ctx, id, a) })
	}
	var failed error
	for range relays {
		err := <-tried
		if err == nil {
			return nil
		}
		h.log.Debug("p2p: no way through a relay", "to", id.ShortString(), "err", err)
		failed = errors.Join(failed, err)
	}
	return failed
}

func (h *Host) dialVia(ctx context.Context, id peer.ID, a RelayAddr) error {
	done := h.gate.calling(a.id)
	defer func() {
		done()
		h.leaveRelay(a.id)
	}()
	if err := h.greet(ctx, a, relaySeeks, id, pingTimeout); err != nil {
		return err
	}
	circuit, err := a.circuit()
	if err != nil {
		return err
	}
	h.host.Peerstore().AddAddrs(id, []ma.Multiaddr{circuit}, peerstore.TempAddrTTL)
	h.forgive(id)
	if _, err = h.host.Network().DialPeer(ctx, id); err != nil {
		return errors.Join(errNoCircuit, err)
	}
	return nil
}

// isRelayed reports whether a connection goes through a relay.
func isRelayed(c network.Conn) bool { return relayOf(c.RemoteMultiaddr()) != "" }
