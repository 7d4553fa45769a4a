package p2p_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/wire"
)

// relayOn is a relay on loopback, and its address.
func relayOn(t *testing.T, key ed25519.PrivateKey, secret string, listen []string) (*p2p.Relay, p2p.RelayAddr) {
	t.Helper()
	r, err := p2p.NewRelay(context.Background(), p2p.RelayConfig{Key: key, Secret: secret, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	at, err := r.Addrs("127.0.0.1")
	if err != nil || len(at) != 1 {
		t.Fatal(at, err)
	}
	return r, at[0]
}

func newRelay(t *testing.T) (*p2p.Relay, p2p.RelayAddr) {
	t.Helper()
	return relayOn(t, ident.NewKey(), p2p.NewRelaySecret(), tcpOnly)
}

func (n *node) wait(at p2p.RelayAddr) {
	n.t.Helper()
	if err := n.SetRelays([]p2p.RelayAddr{at}); err != nil {
		n.t.Fatal(err)
	}
	eventually(n.t, "a place at the relay", func() bool { return n.Relays()[0].Waiting })
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 15*time.Second {
			t.Fatalf("%s: not within 15 s", what)
		}
	}
}

func (n *node) path(other *node) string {
	for _, p := range n.Peers() {
		if p.Device == other.me.Device && p.Connected {
			return p.Path
		}
	}
	return ""
}

// Two devices that know no address of one another but a relay at which one waits, until there is a direct way.
func TestRelayUntilThereIsADirectWay(t *testing.T) {
	_, at := newRelay(t)
	a, b := pair(t, tcpOnly)
	a.wait(at)
	b.AddAddrs(a.me.Device, []string{at.String()}, false)
	for _, n := range []*node{a, b} {
		other := map[*node]*node{a: b, b: a}[n]
		eventually(t, "a way through the relay", func() bool { return n.path(other) == "relay" })
	}
	data := bytes.Repeat([]byte("shelf"), 1<<18)
	echo(t, b, a, data)
	b.AddAddrs(a.me.Device, a.Addrs(), false)
	for _, n := range []*node{a, b} {
		other := map[*node]*node{a: b, b: a}[n]
		eventually(t, "the direct way", func() bool { return n.path(other) == "loopback" })
	}
	if kept := b.book.Load(a.me.Device); !slices.Contains(kept, at.String()) {
		t.Errorf("the relay is not kept for the next start: %q", kept)
	}
	b.AddAddrs(a.me.Device, nil, true)
	if kept := b.book.Load(a.me.Device); slices.Contains(kept, at.String()) {
		t.Errorf("the relay that the device has left is kept: %q", kept)
	}
	eventually(t, "nothing goes through the relay", func() bool { return !a.Relayed() && !b.Relayed() })
	echo(t, b, a, data)
}

func echo(t *testing.T, from, to *node, data []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := from.Open(ctx, to.me.Device, echoProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		_, _ = s.Write(data)
		_ = s.CloseWrite()
	}()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes of %d came back: %v", len(got), len(data), err)
	}
}

// A relay that goes and comes back has its devices again, and they have each other.
func TestRelayComesBack(t *testing.T) {
	key, secret := ident.NewKey(), p2p.NewRelaySecret()
	r, at := relayOn(t, key, secret, tcpOnly)
	a, b := pair(t, nil) // nothing to call them at
	a.wait(at)
	b.AddAddrs(a.me.Device, []string{at.String()}, false)
	eventually(t, "a way", func() bool { return b.path(a) == "relay" })
	_ = r.Close()
	eventually(t, "no way", func() bool { return b.path(a) == "" && !a.Relays()[0].Waiting })
	_, port, _ := strings.Cut(at.Place(), ":")
	_, again := relayOn(t, key, secret, []string{"/ip4/127.0.0.1/tcp/" + port})
	if again != at {
		t.Fatalf("%v, before %v", again, at)
	}
	eventually(t, "a way again", func() bool { return b.path(a) == "relay" })
}

// Who is looked for at a relay before it has taken its place there is called when it has, and not in vain before. Its
// other address leads to somebody who never says a word.
func TestRelayTellsWhenADeviceIsThere(t *testing.T) {
	_, at := newRelay(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, port, _ := net.SplitHostPort(mute.Addr().String())
	a, b := newNode(t, 1, nil), newNode(t, 2, nil)
	a.dir.add(b.me)
	b.dir.add(a.me)
	said := &logged{}
	b.log = slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a.start()
	b.start()
	b.AddAddrs(a.me.Device, []string{"/ip4/127.0.0.1/tcp/" + port, at.String()}, false)
	eventually(t, "word that nobody came", func() bool { return strings.Contains(said.String(), "not at the relay") })
	a.wait(at)
	eventually(t, "a way", func() bool { return b.path(a) == "relay" })
	if s := said.String(); strings.Contains(s, "does not connect us") {
		t.Errorf("it was called too early:\n%s", s)
	}
}

// logged keeps what is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *logged) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// Who does not know the secret gets no place and no way.
func TestRelayServesWhoKnowsItsSecret(t *testing.T) {
	key := ident.NewKey()
	r, at := relayOn(t, key, p2p.NewRelaySecret(), tcpOnly)
	_, port, _ := strings.Cut(at.Place(), ":")
	wrong, err := p2p.ParseRelayAddr("shelf-relay://" + p2p.NewRelaySecret() + "@127.0.0.1:" + port + "/" + at.ID())
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, tcpOnly)
	if may := r.AllowReserve(peer.ID("x"), nil) || r.AllowConnect(peer.ID("x"), nil, peer.ID("y")); may {
		t.Error("a place or a way for whoever did not say it")
	}
	if err := a.SetRelays([]p2p.RelayAddr{wrong}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal", func() bool { return errs.Is(a.Relays()[0].Err, errs.Refused) })
	a.wait(at)
	b.AddAddrs(a.me.Device, []string{wrong.String()}, false)
	time.Sleep(time.Second)
	if p := b.path(a); p != "" {
		t.Errorf("a way without the secret: %s", p)
	}
}

// Somebody joins through a relay.
func TestGuestComesThroughARelay(t *testing.T) {
	_, at := newRelay(t)
	h, guest := newNode(t, 1, tcpOnly).start(), newNode(t, 2, tcpOnly).start()
	h.wait(at)
	h.GuestsOpen(true)
	h.HandleGuest("/shelf/test-join/1", func(_ ident.TransportKey, s wire.Stream) { _, _ = io.Copy(s, s) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := guest.OpenGuest(ctx, h.me.Transport, []string{"/ip4/127.0.0.1/tcp/1", at.String()}, "/shelf/test-join/1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = s.CloseWrite()
	if got, err := io.ReadAll(s); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
}

// A stranger does not come through a relay where he would not come directly.
func TestRelayOpensNoGate(t *testing.T) {
	_, at := newRelay(t)
	h, stranger := newNode(t, 1, tcpOnly).start(), newNode(t, 2, tcpOnly).start()
	h.wait(at)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if s, err := stranger.OpenGuest(ctx, h.me.Transport, []string{at.String()}, "/shelf/test-join/1"); !errs.Is(err, errs.Refused) {
		t.Errorf("%v, %v", s, err)
	}
}

func FuzzParseRelayAddr(f *testing.F) {
	f.Add("shelf-relay://aaaaaaaaaaaaaaaaaaaaaaaaaa@[2001:db8::1]:4001/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")
	f.Add("shelf-relay://aaaaaaaaaaaaaaaaaaaaaaaaaa:x@h%41:4001/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := p2p.ParseRelayAddr(text)
		if err != nil {
			return
		}
		if again, err := p2p.ParseRelayAddr(a.String()); err != nil || again != a {
			t.Errorf("%q is read as %v, and that as %v, %v", text, a, again, err)
		}
	})
}

func TestParseRelayAddr(t *testing.T) {
	id := "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
	secret := p2p.NewRelaySecret()
	for _, good := range []string{"relay.example.org:4001", "203.0.113.7:443", "[2001:db8::1]:4001"} {
		text := "shelf-relay://" + secret + "@" + good + "/" + id
		a, err := p2p.ParseRelayAddr(text)
		if err != nil || a.String() != text || a.Place() != good || a.ID() != id {
			t.Errorf("%s: %v, %v", text, a, err)
		}
	}
	for _, bad := range []string{
		"", "http://" + secret + "@h:1/" + id, "shelf-relay://h:1/" + id, "shelf-relay://" + secret + "@h/" + id, "shelf-relay://" + secret + "@h:0/" + id,
		"shelf-relay://" + secret[1:] + "@h:1/" + id, "shelf-relay://" + secret[:25] + "b@h:1/" + id, "shelf-relay://" + secret + "@h:1/" + id[1:], "shelf-relay://" + secret + "@h:1/" + id + "?x=1",
		"shelf-relay://" + secret + "@0.0.0.0:1/" + id, "shelf-relay://" + secret + "@a/b:1/" + id, "shelf-relay://" + secret + "@h h:1/" + id,
		"shelf-relay://" + secret + "@" + strings.Repeat("h", 250) + ":1/" + id,
		"shelf-relay://" + secret + "@h:1/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
	} {
		if a, err := p2p.ParseRelayAddr(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v, %v", bad, a, err)
		}
	}
}
