package p2p_test

import (
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/wire"
)

const echoProtocol = "/shelf/test-echo/1"

// directory is an account that a test changes.
type directory struct {
	mu    sync.Mutex
	peers []p2p.Peer
}

func (d *directory) Peers() []p2p.Peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.peers)
}

func (d *directory) Allowed(k ident.TransportKey) bool {
	return slices.ContainsFunc(d.Peers(), func(p p2p.Peer) bool { return p.Transport == k })
}

func (d *directory) add(p p2p.Peer) { d.mu.Lock(); d.peers = append(d.peers, p); d.mu.Unlock() }

func (d *directory) clear() { d.mu.Lock(); d.peers = nil; d.mu.Unlock() }

// book is an AddrBook in memory.
type book struct {
	mu sync.Mutex
	m  map[ident.DeviceID][]string
}

func (b *book) Load(d ident.DeviceID) []string { b.mu.Lock(); defer b.mu.Unlock(); return b.m[d] }

func (b *book) Store(d ident.DeviceID, a []string) { b.mu.Lock(); b.m[d] = a; b.mu.Unlock() }

// node is one device of a test.
type node struct {
	*p2p.Host
	t      testing.TB
	key    ed25519.PrivateKey
	dir    *directory
	book   *book
	me     p2p.Peer
	listen []string
	mdns   bool
	log    *slog.Logger // of the next start; may be nil
}

var tcpOnly = []string{"/ip4/127.0.0.1/tcp/0"}

// newNode makes a device that is not started.
func newNode(t testing.TB, n byte, listen []string) *node {
	key := ident.NewKey()
	return &node{
		t: t, key: key, dir: &directory{}, book: &book{m: map[ident.DeviceID][]string{}}, listen: listen,
		me: p2p.Peer{Device: ident.DeviceID{n}, Transport: p2p.TransportKeyOf(key)},
	}
}

func (n *node) start() *node {
	n.t.Helper()
	h, err := p2p.New(context.Background(), p2p.Config{
		TransportKey: n.key, Listen: n.listen, MDNS: n.mdns, Directory: n.dir, AddrBook: n.book, Log: n.log,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.Host = h
	n.listen = h.Listening()
	h.Handle(echoProtocol, func(_ ident.DeviceID, s wire.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	n.t.Cleanup(func() { _ = h.Close() })
	return n
}

// pair is two devices of one account, started, that do not know each other's addresses.
func pair(t testing.TB, listen []string) (a, b *node) {
	a, b = newNode(t, 1, listen), newNode(t, 2, listen)
	a.dir.add(b.me)
	b.dir.add(a.me)
	return a.start(), b.start()
}

// meet tells a where b is, and waits until both are connected.
func meet(t testing.TB, a, b *node) {
	t.Helper()
	a.AddAddrs(b.me.Device, b.Addrs(), false)
	a.await(b, true, 5*time.Second)
	b.await(a, true, 5*time.Second)
}

func (n *node) state(other *node) p2p.PeerState {
	for _, s := range n.Peers() {
		if s.Device == other.me.Device {
			return s
		}
	}
	return p2p.PeerState{}
}

// await returns how long it took until n saw other connected, or not.
func (n *node) await(other *node, connected bool, limit time.Duration) time.Duration {
	n.t.Helper()
	start := time.Now()
	for n.state(other).Connected != connected {
		if time.Since(start) > limit {
			n.t.Fatalf("device %d does not see device %d as connected=%v after %v", n.me.Device[0], other.me.Device[0], connected, limit)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(start)
}

// echo sends a word and wants it back.
func (n *node) echo(other *node) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := n.Open(ctx, other.me.Device, echoProtocol)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := s.Write([]byte("hello")); err != nil {
		return err
	}
	var b [5]byte
	_, err = io.ReadFull(s, b[:])
	return err
}

func TestTwoDevicesByAddress(t *testing.T) {
	for name, listen := range map[string][]string{
		"tcp":        tcpOnly,
		"quic":       {"/ip4/127.0.0.1/udp/0/quic-v1"},
		"everywhere": p2p.Listen(0),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, listen)
			events, stop := a.Subscribe()
			defer stop()
			if err := a.echo(b); !errs.Is(err, errs.Offline) {
				t.Fatal("without an address:", err)
			}
			meet(t, a, b)
			if e := <-events; e != (p2p.Event{Device: b.me.Device, Connected: true}) {
				t.Error(e)
			}
			for _, dir := range [][2]*node{{a, b}, {b, a}} {
				if err := dir[0].echo(dir[1]); err != nil {
					t.Error(err)
				}
			}
			s := a.state(b)
			for start := time.Now(); s.RTT == 0 && time.Since(start) < 3*time.Second; s = a.state(b) {
				time.Sleep(time.Millisecond)
			}
			if s.Path != "loopback" || s.Addr == "" || s.RTT <= 0 || s.RTT > time.Second || time.Since(s.LastSeen) > time.Second {
				t.Errorf("%+v", s)
			}
			if tcp := strings.Contains(s.Addr, "/tcp/"); tcp != (name != "quic") {
				t.Errorf("%s was preferred", s.Addr)
			}
		})
	}
}

func TestUnknownDeviceAndProtocol(t *testing.T) {
	a, b := pair(t, tcpOnly)
	meet(t, a, b)
	if _, err := a.Open(t.Context(), ident.DeviceID{9}, echoProtocol); !errs.Is(err, errs.Refused) {
		t.Error("unknown device:", err)
	}
	if _, err := a.Open(t.Context(), b.me.Device, "/shelf/no-such/1"); !errs.Is(err, errs.Unsupported) {
		t.Error("unknown protocol:", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Open(ctx, b.me.Device, echoProtocol); !errs.Is(err, errs.Interrupted) {
		t.Error("cancelled:", err)
	}
}

// A device that is killed and started again, its port kept, is back at once, whichever side dials.
func TestReconnectsAfterRestart(t *testing.T) {
	a, b := pair(t, tcpOnly)
	meet(t, a, b)
	events, stop := a.Subscribe()
	defer stop()
	<-events
	for _, c := range []struct {
		who    string
		forget func()
		down   time.Duration
	}{
		{"both dial", func() {}, 300 * time.Millisecond},
		{"only the one that stayed can dial", func() { clear(b.book.m) }, 1500 * time.Millisecond},
		{"only the one that returns dials", func() {}, 0},
	} {
		_ = b.Close()
		a.await(b, false, time.Second)
		if e := <-events; e.Connected {
			t.Error("no event of the loss")
		}
		if err := a.echo(b); !errs.Is(err, errs.Offline) {
			t.Error("while down:", err)
		}
		c.forget()
		time.Sleep(c.down)
		b.start()
		if took := a.await(b, true, 3*time.Second); took > 1600*time.Millisecond {
			t.Errorf("%s: %v", c.who, took)
		} else {
			t.Logf("%s: back after %v", c.who, took)
		}
		if e := <-events; !e.Connected {
			t.Error("no event of the return")
		}
		if err := a.echo(b); err != nil {
			t.Error(c.who, err)
		}
	}
}

func TestBusyPortIsReplaced(t *testing.T) {
	a := newNode(t, 1, p2p.Listen(0)).start()
	ports := map[string]bool{}
	for _, l := range a.Listening() {
		ports[strings.FieldsFunc(l, func(r rune) bool { return r == '/' })[3]] = true
	}
	if len(ports) != 1 {
		t.Errorf("several ports: %v", a.Listening())
	}
	b := newNode(t, 2, a.Listening()).start()
	for _, l := range b.Listening() {
		if slices.Contains(a.Listening(), l) {
			t.Errorf("both listen on %s", l)
		}
	}
	a.dir.add(b.me)
	b.dir.add(a.me)
	a.Refresh()
	b.Refresh()
	meet(t, a, b)
	if _, err := p2p.New(t.Context(), p2p.Config{TransportKey: ident.NewKey(), Directory: &directory{}, Listen: []string{"nonsense"}}); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}

func TestRevokedDeviceIsCutOff(t *testing.T) {
	a, b := pair(t, tcpOnly)
	meet(t, a, b)
	s, err := b.Open(t.Context(), a.me.Device, echoProtocol)
	if err != nil {
		t.Fatal(err)
	}
	a.dir.clear()
	a.ForgetPeer(b.me.Transport)
	_ = s.SetDeadline(time.Now().Add(2 * time.Second))
	_, werr := s.Write([]byte("x"))
	if _, rerr := s.Read(make([]byte, 1)); werr == nil && rerr == nil {
		t.Error("the stream of a revoked device goes on")
	}
	b.await(a, false, 2*time.Second)
	time.Sleep(300 * time.Millisecond) // it tries again and again
	if err := b.echo(a); err == nil {
		t.Error("a revoked device came back in")
	}
	if len(a.Peers()) != 0 {
		t.Error(a.Peers())
	}
}

func TestDiscoveryOnTheLocalNetwork(t *testing.T) {
	a, b := newNode(t, 1, p2p.Listen(0)), newNode(t, 2, p2p.Listen(0))
	a.dir.add(b.me)
	b.dir.add(a.me)
	a.mdns, b.mdns = true, true
	a.start()
	b.start()
	t.Logf("found after %v", a.await(b, true, 8*time.Second))
	// Both dialled at once, perhaps: one of two connections may just be ending.
	err := a.echo(b)
	for start := time.Now(); err != nil && time.Since(start) < 3*time.Second; err = a.echo(b) {
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	count := func() int {
		runtime.GC()
		return runtime.NumGoroutine()
	}
	for range 2 { // the first round starts what libraries keep for the life of the process
		before := count()
		a, b := newNode(t, 1, p2p.Listen(0)), newNode(t, 2, p2p.Listen(0))
		a.dir.add(b.me)
		b.dir.add(a.me)
		a.mdns = true
		a.start()
		b.start()
		meet(t, a, b)
		_, stop := a.Subscribe()
		if err := a.echo(b); err != nil {
			t.Fatal(err)
		}
		_ = a.Close()
		_ = b.Close()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		stop()
		if _, err := a.Open(t.Context(), b.me.Device, echoProtocol); !errs.Is(err, errs.Closed) {
			t.Error(err)
		}
		left := count()
		for start := time.Now(); left > before && time.Since(start) < 3*time.Second; left = count() {
			time.Sleep(20 * time.Millisecond)
		}
		if left <= before {
			return
		}
		t.Logf("%d goroutines before, %d after", before, left)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
}
