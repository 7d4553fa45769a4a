package p2p_test

import (
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/wire"
)

const (
	whoProtocol = "/shelf/test-who/1"
	password    = "let me in"
)

// asker is a device that takes into its directory whoever knows the password. asked counts.
func asker(t *testing.T, n byte, listen []string, asked *atomic.Int32) *node {
	h := newNode(t, n, listen).start()
	h.HandleStranger(whoProtocol, len(password)+1, func(k ident.TransportKey, s wire.Stream) {
		asked.Add(1)
		if b, err := io.ReadAll(s); err == nil && string(b) == password {
			h.dir.add(p2p.Peer{Device: ident.DeviceID{9}, Transport: k})
		}
	}, func(wire.Stream) { t.Error("the asker was asked") })
	return h
}

// stranger knows h, which does not know it, and answers in this way.
func stranger(t *testing.T, h *node, listen []string, answer func(wire.Stream)) *node {
	c := newNode(t, 9, listen)
	c.dir.add(h.me)
	c.start()
	if answer != nil {
		c.HandleStranger(whoProtocol, 0, func(ident.TransportKey, wire.Stream) { t.Error("a member was asked") }, answer)
	}
	return c
}

// A device that was let in while the other was away becomes its member on the connection that it has opened.
func TestStrangerBecomesAMember(t *testing.T) {
	for name, listen := range map[string][]string{"tcp": tcpOnly, "quic": {"/ip4/127.0.0.1/udp/0/quic-v1"}} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			h := asker(t, 1, listen, &asked)
			c := stranger(t, h, listen, func(s wire.Stream) { _, _ = io.WriteString(s, password) })
			c.AddAddrs(h.me.Device, h.Addrs(), false)
			h.await(c, true, 3*time.Second)
			c.await(h, true, 3*time.Second)
			if err := c.echo(h); err != nil {
				t.Error(err)
			}
			if err := h.echo(c); err != nil {
				t.Error(err)
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// A stranger that calls at several addresses keeps one of the connections, not always the one on which he is asked first.
func TestStrangerIsAskedOnTheConnectionThatHeKeeps(t *testing.T) {
	var asked atomic.Int32
	h := asker(t, 1, tcpOnly, &asked)
	kept := newNode(t, 9, tcpOnly)
	first := newNode(t, 9, tcpOnly) // another end of the same device
	first.key, first.me = kept.key, kept.me
	for _, c := range []*node{first, kept} {
		c.dir.add(h.me)
		c.start()
	}
	was := make(chan []string, 1)
	kept.HandleStranger(whoProtocol, 0, nil, func(s wire.Stream) { _, _ = io.WriteString(s, password) })
	first.HandleStranger(whoProtocol, 0, nil, func(s wire.Stream) {
		kept.AddAddrs(h.me.Device, h.Addrs(), false)
		ready := func() bool { return asked.Load() > 0 && len(h.Conns()) == 2 && len(kept.Conns()) == 1 } // at all ends
		for until := time.Now().Add(3 * time.Second); !ready() && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		was <- kept.Conns()
		go func() { _ = first.Close() }() // which waits for this
		_, _ = s.Read(make([]byte, 1))
	})
	first.AddAddrs(h.me.Device, h.Addrs(), false)
	h.await(kept, true, 4*time.Second)
	if err := h.echo(kept); err != nil {
		t.Error(err)
	}
	if a, b := <-was, kept.Conns(); len(a) != 1 || !slices.Equal(a, b) {
		t.Errorf("connected by %q, and then by %q", a, b)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// Whoever is no member is served nothing, hung up on and asked ever more seldom, whatever he answers; and he
// does not take the one that hangs up for connected again and again.
func TestStrangersAreTurnedAway(t *testing.T) {
	for name, answer := range map[string]func(wire.Stream){
		"something else": func(s wire.Stream) { _, _ = io.WriteString(s, "let me out") },
		"nothing":        func(s wire.Stream) {},
		"too much":       func(s wire.Stream) { _, _ = io.WriteString(s, password+strings.Repeat(" ", 1<<20)) },
		"silence":        func(s wire.Stream) { _, _ = s.Read(make([]byte, 1)) },
		"another tongue": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			h := asker(t, 1, tcpOnly, &asked)
			h.Handle(echoProtocol, func(ident.DeviceID, wire.Stream) { t.Error("a stranger was served") })
			c := stranger(t, h, tcpOnly, answer)
			events, stop := c.Subscribe()
			defer stop()
			c.AddAddrs(h.me.Device, h.Addrs(), false)
			ups, end := 0, time.After(3*time.Second)
			for over := false; !over; {
				select {
				case e := <-events:
					if e.Connected {
						ups++
						_ = c.echo(h)
					}
				case <-end:
					over = true
				}
			}
			if n := asked.Load(); n > 3 || n == 0 && answer != nil {
				t.Errorf("asked %d times", n)
			}
			if ups > 2 {
				t.Errorf("%d times connected", ups)
			}
			if len(h.Peers()) != 0 {
				t.Error("a stranger became a member")
			}
		})
	}
}

// Strangers with ever new keys do not get in at any rate they like.
func TestStrangersComeAtALimitedRate(t *testing.T) {
	var asked atomic.Int32
	h := asker(t, 1, tcpOnly, &asked)
	began := time.Now()
	for range 30 {
		c := stranger(t, h, tcpOnly, func(wire.Stream) {})
		c.AddAddrs(h.me.Device, h.Addrs(), false)
		time.Sleep(20 * time.Millisecond)
		_ = c.Close()
	}
	if n, most := int(asked.Load()), 8+1+int(time.Since(began)/(2*time.Second)); n == 0 || n > most {
		t.Errorf("%d of 30 were asked, want at most %d", n, most)
	}
}

// A guest who comes to join cannot be asked, and joins all the same.
func TestGuestsAreNoStrangers(t *testing.T) {
	var asked atomic.Int32
	h := asker(t, 1, tcpOnly, &asked)
	h.HandleGuest(joinProtocol, func(_ ident.TransportKey, s wire.Stream) {
		var b [2]byte
		_, _ = io.ReadFull(s, b[:])
		time.Sleep(100 * time.Millisecond) // a person thinks
		_, _ = s.Write([]byte("ok"))
	})
	h.GuestsOpen(true)
	for range 2 {
		if err := newNode(t, 2, tcpOnly).start().join(h); err != nil {
			t.Error(err)
		}
	}
	h.GuestsOpen(false)
	if err := newNode(t, 3, tcpOnly).start().join(h); err == nil {
		t.Error("after the invitation")
	}
}
