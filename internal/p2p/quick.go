package p2p

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// On a machine and a local network QUIC costs twice the processor time of TCP, and carries half as much. But it comes first where a
// device starts anew: TCP is refused at once as long as it is away, QUIC knocks on. And libp2p opens
// streams on the connection that has most of them. So QUIC is tried here when TCP leads nowhere, and left when that does.

const (
	// knockQUIC is how long QUIC has near by where TCP was refused: a device that is there answers much sooner.
	knockQUIC = 500 * time.Millisecond
	// knockTCP is how long an address has to show that it can be reached by TCP.
	knockTCP = time.Second
	// slowFor is how long QUIC is good enough for a device after a TCP address of it led nowhere though it answered.
	slowFor = time.Hour
)

func isNearTCP(a ma.Multiaddr) bool { return isPlain(a) && isNear(a) && !isQUIC(a) }
func isSlow(a ma.Multiaddr) bool    { return isPlain(a) && isQUIC(a) } // where there is near TCP

// apart divides addresses in those to be tried at once, and those that are slow.
func apart(addrs []ma.Multiaddr) (first, later []ma.Multiaddr) {
	if !slices.ContainsFunc(addrs, isNearTCP) {
		return addrs, nil
	}
	return ma.FilterAddrs(addrs, func(a ma.Multiaddr) bool { return !isSlow(a) }), ma.FilterAddrs(addrs, isSlow)
}

// onlySlow reports whether the device is reached by QUIC alone where TCP may be possible.
func (l *link) onlySlow() bool {
	if !l.reached(isSlow) || l.reached(isNearTCP) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !time.Now().Before(l.slowUntil) && slices.ContainsFunc(toMultiaddrs(l.addrs), isNearTCP)
}

// quicken connects the device by TCP in place of QUIC, if it answers there.
func (l *link) quicken() bool {
	l.mu.Lock()
	addrs := ma.FilterAddrs(toMultiaddrs(l.addrs), isNearTCP)
	l.mu.Unlock()
	if !slices.ContainsFunc(addrs, l.answers) {
		return false
	}
	l.leave(isSlow)
	done := l.dial(true)
	if l.onlySlow() {
		l.mu.Lock()
		l.slowUntil = time.Now().Add(slowFor)
		l.mu.Unlock()
	}
	return done
}

// answers reports whether somebody takes connections at an address.
func (l *link) answers(a ma.Multiaddr) bool {
	ctx, cancel := context.WithTimeout(l.ctx, knockTCP)
	defer cancel()
	network, addr, err := manet.DialArgs(a)
	if err != nil {
		return false
	}
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// leaveSlow closes the device's connections by QUIC if there is a quicker one.
func (l *link) leaveSlow() {
	if l.reached(isNearTCP) {
		l.leave(isSlow)
	}
}

// reached reports whether there is a connection to an address of a kind.
func (l *link) reached(kind func(ma.Multiaddr) bool) bool {
	return slices.ContainsFunc(l.h.host.Network().ConnsToPeer(l.id), func(c network.Conn) bool { return kind(c.RemoteMultiaddr()) })
}

// leave closes the device's connections to addresses of a kind.
func (l *link) leave(kind func(ma.Multiaddr) bool) {
	for _, c := range l.h.host.Network().ConnsToPeer(l.id) {
		if kind(c.RemoteMultiaddr()) {
			_ = c.Close()
		}
	}
}
