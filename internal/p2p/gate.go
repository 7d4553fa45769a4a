package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// So many strangers may connect in that time, as guests or to be asked who they are; more are refused.
const (
	guestBurst = 8
	guestEvery = 2 * time.Second // one more
)

// gate decides who gets a connection: devices that the Directory allows, those that we dial in order to
// join them, relays, and strangers at a limited rate: to be asked who they are, unless that was in vain lately, and
// whoever it is while an invitation is open. It is a connmgr.ConnectionGater.
type gate struct {
	dir    Directory
	turned turned

	mu        sync.Mutex
	guests    bool
	strangers bool            // somebody is there to ask them
	called    map[peer.ID]int // whom we call: the device that we join, relays
	tokens    float64         // strangers that may still connect
	filled    time.Time
}

func newGate(dir Directory) *gate {
	return &gate{dir: dir, turned: turned{by: map[peer.ID]turn{}}, called: map[peer.ID]int{}, tokens: guestBurst, filled: time.Now()}
}

// allowed reports whether the Directory knows and allows the peer.
func (g *gate) allowed(p peer.ID) bool {
	k, ok := transportKey(p)
	return ok && g.dir.Allowed(k)
}

func (g *gate) setGuests(open bool) { g.mu.Lock(); g.guests = open; g.mu.Unlock() }

func (g *gate) guestsOpen() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.guests }

func (g *gate) setStrangers() { g.mu.Lock(); g.strangers = true; g.mu.Unlock() }

func (g *gate) mayAsk(p peer.ID) bool { return !g.turned.has(p) }
func (g *gate) turnAway(p peer.ID)    { g.turned.add(p) }
func (g *gate) welcome(p peer.ID)     { g.turned.remove(p) }

// calling lets us dial p until done is called.
func (g *gate) calling(p peer.ID) (done func()) {
	g.mu.Lock()
	g.called[p]++
	g.mu.Unlock()
	return sync.OnceFunc(func() {
		g.mu.Lock()
		if g.called[p]--; g.called[p] <= 0 {
			delete(g.called, p)
		}
		g.mu.Unlock()
	})
}

func (g *gate) isCalled(p peer.ID) bool { g.mu.Lock(); defer g.mu.Unlock(); return g.called[p] > 0 }

// admitStranger takes one token of the strangers' rate.
func (g *gate) admitStranger(p peer.ID) bool {
	ask := g.mayAsk(p)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.guests && !(g.strangers && ask) {
		return false
	}
	now := time.Now()
	g.tokens = min(g.tokens+now.Sub(g.filled).Seconds()/guestEvery.Seconds(), guestBurst)
	g.filled = now
	if g.tokens < 1 {
		return false
	}
	g.tokens--
	return true
}

// InterceptPeerDial: whom we may call.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.allowed(p) || g.isCalled(p) }

// InterceptAddrDial: at any address.
func (g *gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept: who calls is known only after the handshake, but through whom: a relay of ours.
func (g *gate) InterceptAccept(c network.ConnMultiaddrs) bool {
	relay := relayOf(c.RemoteMultiaddr())
	return relay == "" || g.isCalled(relay)
}

// InterceptSecured: here the other side has proven its key.
func (g *gate) InterceptSecured(dir network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	if g.allowed(p) {
		return true
	}
	if dir == network.DirOutbound {
		return g.isCalled(p)
	}
	return g.admitStranger(p)
}

// InterceptUpgraded: nothing new is known.
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
