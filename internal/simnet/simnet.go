// Package simnet is a network in memory for tests, with latency, bandwidth, stalls, broken
// connections and partitions. It waits by channels and timers only, so that inside
// testing/synctest it runs in virtual time.
//
// Lock order: Net.mu, then pipe.mu. Nothing waits while it holds one of them.
package simnet

import (
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

// Link describes the way between two hosts, the same in both directions.
type Link struct {
	Latency   time.Duration // one way
	Bandwidth int64         // bytes per second and direction; 0: unlimited
	Stalled   bool          // nothing arrives, and nobody is told: an unplugged cable
}

// backlog is how far ahead of a link's bandwidth its senders may run, as a router's queue
// and a socket's buffer would let them.
const backlog = 20 * time.Millisecond

// Net connects hosts.
type Net struct {
	mu    sync.Mutex
	all   Link
	hosts map[ident.DeviceID]*Host
	links map[pair]*way
}

type pair struct{ a, b ident.DeviceID }

// way is the state of one link. The pointer stays the same for the life of the Net.
type way struct {
	link    Link
	cut     bool
	breaks  uint64               // how often its streams were broken
	streams map[*Stream]struct{} // one end of each, the opener's
	free    [2]time.Time         // when the direction (0: from pair.a) has sent what it took
}

// New returns a network whose links are all alike until SetLink says otherwise.
func New(all Link) *Net {
	return &Net{all: all, hosts: map[ident.DeviceID]*Host{}, links: map[pair]*way{}}
}

// Host adds (or returns) the host of a device.
func (n *Net) Host(dev ident.DeviceID) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[dev]; h != nil {
		return h
	}
	h := &Host{net: n, dev: dev, up: true, handlers: map[string]handler{}, subs: map[*subscription]struct{}{}}
	n.hosts[dev] = h
	n.announceLocked()
	return h
}

// SetLink changes the link between two devices; streams already open feel it too.
func (n *Net) SetLink(a, b ident.DeviceID, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.wayLocked(a, b)
	w.link = l
	for s := range w.streams {
		s.out.touch()
		s.in.touch()
	}
}

// Partition cuts the link: its streams break and none can be opened until Heal.
func (n *Net) Partition(a, b ident.DeviceID) { n.setCut(a, b, true) }

// Heal joins what Partition cut.
func (n *Net) Heal(a, b ident.DeviceID) { n.setCut(a, b, false) }

// Break resets every stream between two devices, as a lost connection would; new ones can be opened
// at once. Subscribers hear of a loss and a return.
func (n *Net) Break(a, b ident.DeviceID) {
	n.mu.Lock()
	streams := n.wayLocked(a, b).take()
	n.announceLocked()
	n.mu.Unlock()
	reset(streams)
}

func (n *Net) setCut(a, b ident.DeviceID, cut bool) {
	n.mu.Lock()
	w := n.wayLocked(a, b)
	w.cut = cut
	var streams []*Stream
	if cut {
		streams = w.take()
	}
	n.announceLocked()
	n.mu.Unlock()
	reset(streams)
}

// Down takes a host off the net as a crash would: its streams break everywhere. Its handlers stay.
func (n *Net) Down(dev ident.DeviceID) {
	n.mu.Lock()
	var streams []*Stream
	if h := n.hosts[dev]; h != nil {
		h.up = false
	}
	for p, w := range n.links {
		if p.a == dev || p.b == dev {
			streams = append(streams, w.take()...)
		}
	}
	n.announceLocked()
	n.mu.Unlock()
	reset(streams)
}

// Up brings a host back.
func (n *Net) Up(dev ident.DeviceID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[dev]; h != nil {
		h.up = true
	}
	n.announceLocked()
}

func (n *Net) wayLocked(a, b ident.DeviceID) *way {
	p := ordered(a, b)
	w := n.links[p]
	if w == nil {
		w = &way{link: n.all, streams: map[*Stream]struct{}{}}
		n.links[p] = w
	}
	return w
}

func (n *Net) reachableLocked(a, b ident.DeviceID) bool {
	ha, hb := n.hosts[a], n.hosts[b]
	return a != b && ha != nil && hb != nil && ha.up && hb.up && !n.wayLocked(a, b).cut
}

func (n *Net) announceLocked() {
	for _, h := range n.hosts {
		for s := range h.subs {
			s.updateLocked()
		}
	}
}

// take breaks the link: it returns the streams to be reset.
func (w *way) take() []*Stream {
	w.breaks++
	var out []*Stream
	for s := range w.streams {
		out = append(out, s)
	}
	clear(w.streams)
	return out
}

func reset(streams []*Stream) {
	for _, s := range streams {
		_ = s.Reset()
	}
}

func ordered(a, b ident.DeviceID) pair {
	if string(a[:]) > string(b[:]) {
		a, b = b, a
	}
	return pair{a, b}
}

// direction is 0 for bytes that from sends to to, if from is the smaller id, else 1.
func direction(from, to ident.DeviceID) int {
	if ordered(from, to).a == from {
		return 0
	}
	return 1
}
