package replicate

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/simnet"
	"github.com/shelffs/shelf/internal/wire"
)

// members is a membership log of names; every device is a member whose entry is known.
type members struct {
	mu      sync.Mutex
	known   []ident.DeviceID
	changed chan struct{}
}

func newMembers(devs ...ident.DeviceID) *members {
	return &members{known: devs, changed: make(chan struct{})}
}

func (m *members) Heads() (out []share.Hash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.known {
		out = append(out, share.Hash(d))
	}
	return out
}

func (m *members) EntriesSince(heads []share.Hash) (out [][]byte) {
	for _, h := range m.Heads() {
		if !slices.Contains(heads, h) {
			out = append(out, h[:])
		}
	}
	return out
}

func (m *members) Merge(entries [][]byte) (added int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if d := ident.DeviceID(e); !slices.Contains(m.known, d) {
			m.known = append(m.known, d)
			added++
		}
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return added, nil
}

func (m *members) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *members) Member(d ident.DeviceID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.known, d)
}

type peer struct {
	*Replicator
	id      ident.DeviceID
	names   *namespace.Replica
	members *members
	host    *simnet.Host
}

func key(i int) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(fmt.Appendf(nil, "%032d", i)) }

func newPeer(t *testing.T, net *simnet.Net, i int, known ...int) *peer {
	t.Helper()
	p := &peer{id: ident.DeviceIDOf(key(i)), members: newMembers()}
	for _, k := range append(known, i) {
		p.members.known = append(p.members.known, ident.DeviceIDOf(key(k)))
	}
	p.host = net.Host(p.id)
	db, err := kv.Open(t.TempDir(), [32]byte{1}, kv.Options{FreeFloor: -1, Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	p.names, err = namespace.Open(namespace.Config{DB: db, Share: ident.ShareID{1}, Self: p.id, Key: key(i),
		Sealer: seal.New(ident.ShareID{1}, 1, [32]byte{7}), Known: p.members.Member, Names: ident.DeviceID.Short})
	if err != nil {
		t.Fatal(err)
	}
	p.Replicator = New(Config{Network: p.host, Records: p.names, Members: p.members, Self: p.id, Blind: [32]byte{5}})
	ctx, cancel := context.WithCancel(context.Background())
	events, stop := p.host.Subscribe()
	ran := make(chan struct{})
	go func() { defer close(ran); p.Run(ctx, events) }()
	t.Cleanup(func() {
		cancel()
		stop()
		select {
		case <-ran: // and with it every stream and its goroutines
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
		}
		_ = p.names.Close()
		_ = db.Close()
	})
	return p
}

func (p *peer) make(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if _, err := p.names.Create(namespace.Root, fmt.Sprintf("%s-%d", p.id.Short(), i), namespace.Spec{Kind: namespace.File, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
	}
}

func waitFiles(t *testing.T, n int, ps ...*peer) {
	t.Helper()
	for _, p := range ps {
		for end := time.Now().Add(20 * time.Second); int(p.names.Stat().Files) != n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				bad, last := p.names.Quarantined()
				t.Fatalf("%d files instead of %d; quarantined: %d, %v", p.names.Stat().Files, n, bad, last)
			}
		}
		if bad, last := p.names.Quarantined(); bad > 0 {
			t.Fatalf("%d quarantined: %v", bad, last)
		}
	}
}

// Two devices that can not reach each other meet through a third, which also brings the entry
// by which the one knows the other: before the records, or these would be refused.
func TestRelay(t *testing.T) {
	net := simnet.New(simnet.Link{})
	a, b, c := newPeer(t, net, 0, 1), newPeer(t, net, 1, 0, 2), newPeer(t, net, 2, 1)
	net.Partition(a.id, c.id)
	a.make(t, 0, 50)
	c.make(t, 0, 50)
	waitFiles(t, 100, a, b, c)
	if !a.members.Member(c.id) || !c.members.Member(a.id) {
		t.Error("the entries did not travel")
	}
	b.make(t, 0, 10)
	waitFiles(t, 110, a, b, c)
	select {
	case <-a.Completed():
	case <-time.After(5 * time.Second):
		t.Error("never complete")
	}
}

// However often the connection breaks in the middle of a delta, nothing is lost.
func TestBreaksLoseNothing(t *testing.T) {
	net := simnet.New(simnet.Link{Latency: time.Millisecond, Bandwidth: 4 << 20})
	a, b := newPeer(t, net, 0, 1), newPeer(t, net, 1, 0)
	a.make(t, 0, 2000)
	for range 10 {
		time.Sleep(15 * time.Millisecond)
		net.Break(a.id, b.id)
	}
	b.make(t, 0, 10)
	waitFiles(t, 2010, a, b)
}

// Strangers and garbage end their own stream, and nothing else.
func TestStrangersAndGarbage(t *testing.T) {
	net := simnet.New(simnet.Link{})
	a, b := newPeer(t, net, 0, 1), newPeer(t, net, 1, 0)
	stranger := net.Host(ident.DeviceIDOf(key(9)))
	for name, say := range map[string]func(s wire.Stream){
		"stranger": func(wire.Stream) {},
		"garbage":  func(s wire.Stream) { _, _ = s.Write([]byte("\xff\xff\xff\xff\xff garbage")) },
		"handshake": func(s wire.Stream) {
			_ = handshake(s, true, ident.DeviceIDOf(key(9)), a.id, [32]byte{5}) // even with the share's key
		},
	} {
		s, err := stranger.Open(context.Background(), a.id, Protocol)
		if err != nil {
			t.Fatal(err)
		}
		say(s)
		_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := s.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: was answered %d bytes", name, n)
		}
	}
	// A member that sends garbage after the handshake: its stream ends, its next one works.
	for _, junk := range [][]byte{{msgRecords, 1, 2, 3}, {msgComplete, 0xff}, {msgMembers, 0xff}, {'?'}, {}} {
		s, err := b.host.Open(context.Background(), a.id, Protocol)
		if err != nil {
			t.Fatal(err)
		}
		if err := handshake(s, true, b.id, a.id, [32]byte{5}); err != nil {
			t.Fatal(err)
		}
		_ = wire.WriteFrame(s, junk)
		_ = s.Reset()
	}
	b.make(t, 0, 20)
	a.make(t, 0, 20)
	for end := time.Now().Add(20 * time.Second); a.names.Stat().Files != 40 || b.names.Stat().Files != 40; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("garbage stopped the exchange")
		}
	}
}

// Devices that claim the same and hold something else are reported.
func TestDiverged(t *testing.T) {
	net := simnet.New(simnet.Link{})
	a := newPeer(t, net, 0, 1)
	h := a.names.Hello()
	b := ident.DeviceIDOf(key(1))
	a.compare(b, h)
	if h.Settled && len(a.Diverged()) != 0 {
		t.Error("equal stores are called different")
	}
	h.Fingerprint[0] ^= 1
	a.compare(b, h)
	if h.Settled && !slices.Contains(a.Diverged(), b) {
		t.Error("a divergence is not reported")
	}
	if !h.Settled {
		t.Error("an idle replica is not settled")
	}
}
