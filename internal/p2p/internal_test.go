package p2p

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/shelffs/shelf/internal/ident"
)

func TestHubTellsLossesToTheSlow(t *testing.T) {
	b := newHub()
	one, two := ident.DeviceID{1}, ident.DeviceID{2}
	b.set(one, true, false)
	events, stop := b.subscribe()
	expect := func(want ...Event) {
		t.Helper()
		for _, w := range want {
			select {
			case e := <-events:
				if e != w {
					t.Fatalf("got %v %v", e.Device[0], e.Connected)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("no event")
			}
		}
	}
	expect(Event{one, true})
	for range 100 { // nobody reads
		b.set(one, false, true)
		b.set(one, true, false)
	}
	expect(Event{one, false}, Event{one, true})
	b.set(one, true, false) // a second connection
	b.set(two, true, false)
	expect(Event{two, true})
	b.set(one, true, true) // one of two connections was lost: streams may have broken
	expect(Event{one, false}, Event{one, true})
	b.set(two, false, true)
	expect(Event{two, false})
	stop()
	stop()
	if _, ok := <-events; ok {
		t.Error("events after stop")
	}
	late, _ := b.subscribe()
	b.close()
	for range late { // closed, after the state there was
	}
	if after, _ := b.subscribe(); after != nil {
		if _, ok := <-after; ok {
			t.Error("events of a closed hub")
		}
	}
}

func TestNearTCPIsDialledFirst(t *testing.T) {
	var addrs []ma.Multiaddr
	for _, s := range []string{
		"/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/192.168.1.5/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1", "/ip4/192.168.1.5/tcp/1", "/ip4/127.0.0.1/tcp/1",
	} {
		addrs = append(addrs, ma.StringCast(s))
	}
	ranked := rank(addrs)
	if len(ranked) != len(addrs) {
		t.Fatal(ranked)
	}
	delay := map[string]time.Duration{}
	for _, r := range ranked {
		delay[r.Addr.String()] = r.Delay
	}
	lanTCP, lanQUIC, wanQUIC := delay["/ip4/192.168.1.5/tcp/1"], delay["/ip4/192.168.1.5/udp/1/quic-v1"], delay["/ip4/8.8.8.8/udp/1/quic-v1"]
	if delay["/ip4/127.0.0.1/tcp/1"] != 0 || lanTCP != nextNear || lanQUIC < quicLater || wanQUIC < quicLater {
		t.Errorf("%v", delay)
	}
}

func TestQUICComesAfterNearTCP(t *testing.T) {
	for _, c := range []struct{ addrs, first, later []string }{
		{[]string{"/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1"}, []string{"/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1"}, nil},
		{[]string{"/ip4/10.0.0.5/udp/1/quic-v1"}, []string{"/ip4/10.0.0.5/udp/1/quic-v1"}, nil},
		{
			[]string{"/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/10.0.0.5/tcp/1", "/ip4/10.0.0.5/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1"},
			[]string{"/ip4/10.0.0.5/tcp/1", "/ip4/8.8.8.8/tcp/1"}, []string{"/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/10.0.0.5/udp/1/quic-v1"},
		},
	} {
		first, later := apart(toMultiaddrs(c.addrs))
		if !slices.Equal(toStrings(first), c.first) || !slices.Equal(toStrings(later), c.later) {
			t.Errorf("%q: %q, then %q", c.addrs, first, later)
		}
	}
}

func TestSlept(t *testing.T) {
	last := time.Now()
	wall := func(d time.Duration) time.Time { return last.Round(0).Add(d) } // a time without the other clock
	for _, c := range []struct {
		now  time.Time
		want time.Duration
	}{
		{last.Add(wakeEvery), 0},
		{last.Add(wakeEvery + wakeAfter - time.Nanosecond), 0}, // a busy machine
		{last.Add(wakeEvery + time.Minute), time.Minute},       // stopped
		{wall(wakeEvery + 8*time.Hour), 8 * time.Hour},         // asleep
		{wall(-time.Hour), 0},                                  // the clock was set back
	} {
		if got := slept(last, c.now); got != c.want {
			t.Errorf("%v later: %v, want %v", c.now.Round(0).Sub(last.Round(0)), got, c.want)
		}
	}
}

func TestPaths(t *testing.T) {
	for addr, want := range map[string]string{
		"/ip4/127.0.0.1/tcp/1": "loopback", "/ip6/::1/tcp/1": "loopback", "/ip4/10.9.8.7/tcp/1": "lan",
		"/ip4/8.8.8.8/udp/1/quic-v1": "direct", "/ip4/8.8.8.8/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit": "relay",
	} {
		if got := pathOf(ma.StringCast(addr)); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
}

func TestPortsAreReplaced(t *testing.T) {
	for in, want := range map[string]string{
		"/ip4/0.0.0.0/tcp/80":          "/ip4/0.0.0.0/tcp/7",
		"/ip6/::/udp/80/quic-v1":       "/ip6/::/udp/7/quic-v1",
		"/ip4/127.0.0.1/udp/9/quic-v1": "/ip4/127.0.0.1/udp/7/quic-v1",
	} {
		a := ma.StringCast(in)
		if got := withPort(a, "7").String(); got != want || a.String() != in {
			t.Errorf("%s became %s", in, got)
		}
	}
}

func TestKeysAndPeerIDs(t *testing.T) {
	k := TransportKeyOf(ident.NewKey())
	id, err := peerID(k)
	if err != nil {
		t.Fatal(err)
	}
	if back, ok := transportKey(id); !ok || back != k {
		t.Error("round trip")
	}
	for _, bad := range []peer.ID{"", "x", "\x12\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		if _, ok := transportKey(bad); ok {
			t.Errorf("%q has a key", string(bad))
		}
	}
}

// Addresses come from other devices, announcements on the network, and tokens.
func FuzzAddresses(f *testing.F) {
	f.Add("/ip4/192.168.1.2/tcp/4001/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN")
	f.Add("/ip6/fe80::1/tcp/1 /ip4/0.0.0.0/udp/1/quic-v1 /dns4/evil.example/tcp/1 /unix/etc/passwd")
	f.Add("/ip4/1.2.3.4/udp/1/quic-v1/p2p-circuit")
	f.Fuzz(func(t *testing.T, s string) {
		got := toStrings(toMultiaddrs(strings.Fields(s)))
		for _, a := range got {
			if !strings.HasPrefix(a, "/ip4/") && !strings.HasPrefix(a, "/ip6/") {
				t.Errorf("%q was taken", a)
			}
		}
		if again := toStrings(toMultiaddrs(got)); !slices.Equal(again, got) {
			t.Errorf("%q became %q", got, again)
		}
		if len(mergeAddrs(got, got)) > maxAddrs {
			t.Error("too many addresses")
		}
	})
}
