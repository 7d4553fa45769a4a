package p2p_test

import (
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/p2p"
)

// awaitWays waits until all connections of a host are of one kind, and there is one.
func (n *node) awaitWays(way string, limit time.Duration) {
	n.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		ways := n.Ways()
		if len(ways) > 0 && !slices.ContainsFunc(ways, func(w string) bool { return w != way }) {
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("device %d is connected by %q, want %s", n.me.Device[0], ways, way)
		}
	}
}

var both = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}

// A device that returns is reached by TCP, though the one that stayed tries QUIC all the time.
func TestNearDevicesUseTCP(t *testing.T) {
	a, b := pair(t, both)
	meet(t, a, b)
	a.awaitWays("tcp", 3*time.Second)
	for i := range 6 {
		_ = b.Close()
		a.await(b, false, time.Second)
		if i%2 == 0 {
			clear(b.book.m) // so that only a dials
		}
		time.Sleep(time.Duration(i) * 150 * time.Millisecond)
		b.start()
		a.await(b, true, 5*time.Second)
		a.awaitWays("tcp", 5*time.Second)
		b.awaitWays("tcp", 5*time.Second)
		if err := a.echo(b); err != nil {
			t.Error(err)
		}
	}
}

// One whose TCP port is shut is reached by QUIC, and by TCP as soon as that is open.
func TestQUICWhereTCPIsShut(t *testing.T) {
	a, b := newNode(t, 1, both), newNode(t, 2, both[1:])
	a.dir.add(b.me)
	b.dir.add(a.me)
	a.start()
	b.start()
	shut := p2p.FreePort(t)
	a.AddAddrs(b.me.Device, append(b.Addrs(), shut), false)
	a.await(b, true, 5*time.Second)
	a.awaitWays("quic", time.Second)
	if err := a.echo(b); err != nil {
		t.Error(err)
	}
	if err := b.ListenAlso(shut); err != nil {
		t.Fatal(err)
	}
	a.awaitWays("tcp", 10*time.Second)
	if err := a.echo(b); err != nil {
		t.Error(err)
	}
}
