package p2p

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/shelffs/shelf/internal/ident"
)

// A device that went away is dialled again quickly for a while, then ever more seldom; whenever it comes
// back it dials too, and mDNS tells of it.
const (
	firstPause = 100 * time.Millisecond
	nearPause  = 400 * time.Millisecond // the longest pause within eager of the loss
	eager      = time.Minute
	farPause   = time.Minute // the longest pause after that
)

// link keeps this host connected to one device.
type link struct {
	h    *Host
	dev  ident.DeviceID
	id   peer.ID
	ctx  context.Context // ends when the device is forgotten or the host closed
	stop context.CancelFunc
	poke chan struct{} // look now

	telling sync.Mutex

	asked, checking bool // of Host.Check; guarded by Host.mu

	mu       sync.Mutex
	addrs    []string      // where it may be, best first
	tried    chan struct{} // closed and replaced after each dial
	rtt      time.Duration
	lastSeen time.Time
	up       bool   // connected, as told
	answered bool   // on the present connection: it takes us for one of its own
	shunned  bool   // it hung up on us without having answered; connected is told only when it has
	addr     string // the remote end of the connection in use; "" when there is none
	path     string

	slowUntil time.Time // it is not to be reached quicker before

	giveUp func() // of whileRelayed
}

func newLink(h *Host, dev ident.DeviceID, id peer.ID) *link {
	l := &link{h: h, dev: dev, id: id, poke: make(chan struct{}, 1), tried: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(h.ctx)
	l.addrs = h.found[id]
	return l
}

// now makes the link look at once, and gives a channel that is closed after its next dial.
func (l *link) now() <-chan struct{} {
	l.mu.Lock()
	tried := l.tried
	l.mu.Unlock()
	select {
	case l.poke <- struct{}{}:
	default:
	}
	return tried
}

// isRelayed reports whether the device is reached through a relay only.
func (l *link) isRelayed() bool {
	c := l.best()
	return c != nil && isRelayed(c)
}

func (l *link) connected() bool { return l.h.host.Network().Connectedness(l.id) == network.Connected }

// keep dials whenever the device is not connected, until it is forgotten.
func (l *link) keep() {
	defer func() {
		if !l.h.gate.allowed(l.id) {
			_ = l.h.host.Network().ClosePeer(l.id)
		}
	}()
	if l.h.cfg.AddrBook != nil {
		stored := clean(l.h.cfg.AddrBook.Load(l.dev))
		l.mu.Lock()
		l.addrs = mergeAddrs(l.addrs, stored)
		l.mu.Unlock()
	}
	pause, lost := firstPause, time.Now()
	for l.ctx.Err() == nil {
		wait := time.Duration(-1)
		switch {
		case l.connected() && !l.isShunned() && l.isRelayed():
			lost = time.Now()
			if !l.dial(false) { // a direct way
				wait = pause + rand.N(pause/2)
				pause = min(2*pause, farPause)
			}
		case l.connected() && !l.isShunned() && l.onlySlow():
			lost = time.Now()
			if !l.quicken() {
				wait = pause + rand.N(pause/2)
				pause = min(2*pause, slowFor)
			}
		case l.connected():
			if !l.isShunned() {
				pause, lost = firstPause, time.Now()
			}
		default:
			if l.isShunned() { // it is there and will not have us: no hurry
				l.rest(pause)
				pause = min(2*pause, farPause)
			}
			if !l.dial(true) {
				wait = pause + rand.N(pause/2)
				pause = min(2*pause, nearPause)
				if time.Since(lost) > eager {
					pause = min(2*wait, farPause)
				}
			}
		}
		if l.idle(wait) && !l.isShunned() {
			pause = firstPause
		}
	}
}

// rest waits for a time, or until it is told to look from now on: the loss that led here is known.
func (l *link) rest(pause time.Duration) {
	select {
	case <-l.poke:
	default:
	}
	l.idle(pause)
}

// idle waits for a time (< 0: for ever); true when it was told to look.
func (l *link) idle(wait time.Duration) bool {
	var timer <-chan time.Time
	if wait >= 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-l.ctx.Done():
	case <-l.poke:
		return true
	case <-timer:
	}
	return false
}

// dial makes one attempt at all known addresses, relays only if they may be.
func (l *link) dial(relays bool) bool {
	defer func() {
		l.mu.Lock()
		close(l.tried)
		l.tried = make(chan struct{})
		l.mu.Unlock()
	}()
	l.mu.Lock()
	addrs := slices.Clone(l.addrs)
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	if !relays {
		addrs = toStrings(toMultiaddrs(addrs))
		l.whileRelayed(cancel)
		defer l.whileRelayed(nil)
	}
	err := l.h.reach(ctx, l.id, addrs)
	if err != nil && !errors.Is(err, errNoWay) {
		l.h.log.Debug("p2p: dial", "device", l.dev.Short(), "err", err)
	}
	return err == nil
}

// whileRelayed has stop called when the device is lost that is reached through a relay: then that is tried first.
func (l *link) whileRelayed(stop func()) {
	l.mu.Lock()
	l.giveUp = stop
	l.mu.Unlock()
	if stop != nil && !l.connected() {
		stop()
	}
}

// forgetRelays drops the relays that are not among addrs.
func (l *link) forgetRelays(addrs []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addrs = slices.DeleteFunc(l.addrs, func(a string) bool { return isRelayText(a) && !slices.Contains(addrs, a) })
}

// learn adds addresses, the new ones first. It reports whether there was a new one.
func (l *link) learn(addrs []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	merged := mergeAddrs(addrs, l.addrs)
	fresh := len(merged) != len(l.addrs)
	for i := range merged {
		fresh = fresh || merged[i] != l.addrs[i]
	}
	l.addrs = merged
	return fresh
}

// connected is called by libp2p for each new connection.
func (h *Host) connected(c network.Conn) {
	id := c.RemotePeer()
	h.mu.Lock()
	l := h.ids[id]
	h.mu.Unlock()
	if l != nil && c.Stat().Direction == network.DirInbound {
		l.welcomed() // nobody calls a stranger
	}
	h.changed(id, false)
	if !h.gate.allowed(id) {
		h.meet(c)
		h.watchGuest(c)
		return
	}
	if l == nil {
		return
	}
	l.check() // older connections may be dead without knowing: a device that moved dials anew
	if isRelayed(c) {
		l.now() // to look for a better way
	} else {
		h.later(0, func() {
			l.leave(isCircuit) // there is a direct way
			l.leaveSlow()
		})
		if isSlow(c.RemoteMultiaddr()) {
			l.now() // as above
		}
	}
}

// changed notes that a connection came or, if lost, went.
func (h *Host) changed(id peer.ID, lost bool) {
	h.mu.Lock()
	l := h.ids[id]
	h.mu.Unlock()
	if l == nil {
		return
	}
	switch up := l.tell(lost); {
	case !up && !l.connected():
		l.mu.Lock()
		if l.giveUp != nil {
			l.giveUp()
		}
		l.mu.Unlock()
		l.now()
	case !up:
	case lost: // another connection is left: does it answer, or did the device go?
		l.check()
	}
}

// tell notes whether the device is connected, and how. What is true must not be told in the wrong order,
// hence a lock of its own over looking and telling.
func (l *link) tell(lost bool) (up bool) {
	l.telling.Lock()
	defer l.telling.Unlock()
	there := l.ctx.Err() == nil && l.connected()
	var addr, path string
	if c := l.best(); there && c != nil {
		addr, path = c.RemoteMultiaddr().String(), pathOf(c.RemoteMultiaddr())
	}
	l.mu.Lock()
	if !there {
		l.shunned = l.shunned || lost && !l.answered
		l.answered = false
	}
	up = there && (l.answered || !l.shunned)
	if up || l.up {
		l.lastSeen = time.Now()
	}
	if l.up, l.addr, l.path = up, addr, path; !up {
		l.rtt, l.addr, l.path = 0, "", ""
	}
	l.mu.Unlock()
	l.h.hub.set(l.dev, up, lost)
	return up
}

func (l *link) isShunned() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.shunned && !l.answered }

// welcomed notes that the device takes us for one of its own.
func (l *link) welcomed() {
	l.mu.Lock()
	news := l.shunned && !l.answered
	l.answered, l.shunned = true, false
	l.mu.Unlock()
	if news {
		l.h.changed(l.id, false)
	}
}

// doubt notes that the device does not know us yet: what was told is taken back until it answers.
func (l *link) doubt() {
	l.mu.Lock()
	l.answered, l.shunned = false, true
	l.mu.Unlock()
	l.h.changed(l.id, true)
}

// best is the connection that libp2p opens streams on: a direct one, and of these that with most of them.
func (l *link) best() (best network.Conn) {
	for _, c := range l.h.host.Network().ConnsToPeer(l.id) {
		switch {
		case best == nil, isRelayed(best) && !isRelayed(c):
			best = c
		case isRelayed(best) == isRelayed(c) && len(c.GetStreams()) > len(best.GetStreams()):
			best = c
		}
	}
	return best
}

// identified learns where a device listens, and keeps it for the next start.
func (h *Host) identified(e event.EvtPeerIdentificationCompleted) {
	h.mu.Lock()
	l := h.ids[e.Peer]
	h.mu.Unlock()
	if l == nil {
		return
	}
	remote := e.Conn.RemoteMultiaddr()
	var addrs []ma.Multiaddr
	if e.Conn.Stat().Direction == network.DirOutbound && usable(remote) {
		addrs = append(addrs, remote)
	}
	for _, a := range e.ListenAddrs {
		if usable(a) && (!isLoopback(a) || isLoopback(remote) && isPlain(remote)) {
			addrs = append(addrs, a)
		}
	}
	l.learn(toStrings(addrs))
	l.store()
}

// store keeps for the next start where the device may be found.
func (l *link) store() {
	if l.h.cfg.AddrBook == nil {
		return
	}
	l.mu.Lock()
	known := slices.Clone(l.addrs)
	l.mu.Unlock()
	l.h.cfg.AddrBook.Store(l.dev, known)
}
