package p2p

import (
	"context"
	"errors"
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

var errNoWay = errors.New("no address is known")

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
		case failed = <-direct:
			if failed == nil {
				return nil
			}
			return <-through
		}
		pause = nearPause // addresses that lead nowhere take long to fail: the relay may be back before
	}
}

// dialDirect makes one attempt at all addresses. libp2p's own memory of failures is set aside: it would keep us
// from a peer that is just back. A connection through a relay does not count.
func (h *Host) dialDirect(ctx context.Context, id peer.ID, addrs []ma.Multiaddr) error {
	if len(addrs) == 0 {
		return errNoWay
	}
	net, book := h.host.Network(), h.host.Peerstore()
	book.ClearAddrs(id)
	book.AddAddrs(id, addrs, peerstore.TempAddrTTL)
	if sw, ok := net.(*swarm.Swarm); ok {
		sw.Backoff().Clear(id)
	}
	_, err := net.DialPeer(network.WithForceDirectDial(ctx, "a relay is no way to stay"), id)
	return err
}

// dialThrough tries one relay after the other.
func (h *Host) dialThrough(ctx context.Context, id peer.ID, relays []RelayAddr) (err error) {
	for _, a := range relays {
		if err = h.dialVia(ctx, id, a); err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

func (h *Host) dialVia(ctx context.Context, id peer.ID, a RelayAddr) error {
	done := h.gate.calling(a.id)
	defer func() {
		done()
		h.leaveRelay(a.id)
	}()
	if err := h.greet(ctx, a, pingTimeout); err != nil {
		return err
	}
	circuit, err := a.circuit()
	if err != nil {
		return err
	}
	h.host.Peerstore().AddAddrs(id, []ma.Multiaddr{circuit}, peerstore.TempAddrTTL)
	_, err = h.host.Network().DialPeer(ctx, id)
	return err
}

// isRelayed reports whether a connection goes through a relay.
func isRelayed(c network.Conn) bool { return relayOf(c.RemoteMultiaddr()) != "" }
