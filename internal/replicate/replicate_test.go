package replicate

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
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
	refused ident.DeviceID
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

func (m *members) list() []ident.DeviceID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.known)
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
		if d := ident.DeviceID(e); d == m.refused {
			err = errs.E("members.Merge", errs.Unsupported, d.Short(), nil)
		} else if !slices.Contains(m.known, d) {
			m.known = append(m.known, d)
			added++
		}
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return added, err
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
	disk    *kv.Memory
	stop    func()
}

// setup says how a peer is made; the zero value is a device with an empty disk.
type setup struct {
	disk   *kv.Memory
	large  bool             // on a real disk: one in memory is for small stores
	lossy  bool             // frames of records get lost without its knowing
	sealer namespace.Sealer // instead of the share's
	copied int              // another run of the device: key(copied) is its name on the net
	twin   int              // to this device key(twin) on the net is another run of the device whose name is twinOf
	twinOf int
}

func key(i int) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(fmt.Appendf(nil, "%032d", i)) }

// readerKey is the key of a device that may only read wherever it is a member.
const readerKey = 8

func newPeer(t *testing.T, net *simnet.Net, i int, known ...int) *peer {
	t.Helper()
	return setup{disk: kv.NewMemory()}.peer(t, net, i, known...)
}

func (s setup) peer(t *testing.T, net *simnet.Net, i int, known ...int) *peer {
	t.Helper()
	p := &peer{id: ident.DeviceIDOf(key(i)), members: newMembers(), disk: s.disk}
	for _, k := range append(known, i) {
		p.members.known = append(p.members.known, ident.DeviceIDOf(key(k)))
	}
	p.host = net.Host(p.id)
	if s.copied > 0 {
		p.host = net.Host(ident.DeviceIDOf(key(s.copied)))
	}
	open := func() (*kv.DB, error) { return kv.OpenMemory(p.disk) }
	if s.large {
		open = func() (*kv.DB, error) {
			return kv.Open(t.TempDir(), [32]byte{1}, kv.Options{FreeFloor: -1, Ballast: -1})
		}
	}
	db, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if s.sealer == nil {
		s.sealer = seal.New(ident.ShareID{1}, 1, [32]byte{7})
	}
	p.names, err = namespace.Open(namespace.Config{DB: db, Share: ident.ShareID{1}, Self: p.id, Key: key(i),
		Sealer: s.sealer, Known: p.members.Member, Names: ident.DeviceID.Short, Members: p.members.list,
		Writes: func(d ident.DeviceID) bool { return d != ident.DeviceIDOf(key(readerKey)) }})
	if err != nil {
		t.Fatal(err)
	}
	var records Records = p.names
	if s.lossy {
		records = &lossy{Replica: p.names}
	}
	via := &forked{Host: p.host, hide: map[ident.DeviceID]bool{p.id: true}, as: map[ident.DeviceID]ident.DeviceID{}}
	if s.twin > 0 {
		via.as[ident.DeviceIDOf(key(s.twin))] = ident.DeviceIDOf(key(s.twinOf))
	}
	p.Replicator = New(Config{Network: via, Records: records, Members: p.members, Self: p.id, Blind: [32]byte{5}})
	ctx, cancel := context.WithCancel(context.Background())
	events, stop := via.subscribe()
	ran := make(chan struct{})
	go func() { defer close(ran); p.Run(ctx, events) }()
	p.stop = sync.OnceFunc(func() {
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
	t.Cleanup(p.stop)
	return p
}

// lossy is a replica into which some frames do not get, though it is told otherwise.
type lossy struct {
	*namespace.Replica
	frames atomic.Int32
}

func (l *lossy) Apply(ctx context.Context, from ident.DeviceID, frame []byte) error {
	if n := l.frames.Add(1); n == 2 || n == 3 {
		return nil
	}
	return l.Replica.Apply(ctx, from, frame)
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
			continue // b's own replicator opened a stream, the newest one counts
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

// A store that was damaged without its knowing is found out by the fingerprint, and mended from
// the other device.
func TestDamageIsMended(t *testing.T) {
	net := simnet.New(simnet.Link{})
	const files = 8000
	a := setup{large: true}.peer(t, net, 0)
	a.make(t, 0, files)
	later := ident.DeviceIDOf(key(1))
	if _, err := a.members.Merge([][]byte{later[:]}); err != nil {
		t.Fatal(err)
	}
	b := setup{large: true, lossy: true}.peer(t, net, 1, 0)
	settled(t, a, b)
	if n := b.names.Stat().Files; n >= files {
		t.Fatalf("%d files: nothing got lost", n)
	}
	net.Break(a.id, b.id) // the next hello compares
	waitFiles(t, files, b)
	for end := time.Now().Add(10 * time.Second); len(a.names.Differing())+len(b.names.Differing()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still called different")
		}
	}
}

// settled waits until both claim the same.
func settled(t *testing.T, a, b *peer) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ha, hb := a.names.Hello(b.id), b.names.Hello(a.id)
		if ha.Settled && hb.Settled && ha.Claims.Covers(hb.Claims) && hb.Claims.Covers(ha.Claims) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("never settled")
		}
	}
}

// A device restored from an old image goes on under a new incarnation: what it wrote since is
// kept, what it had lost comes back, and nobody is shown anything twice.
func TestRestoredDevice(t *testing.T) {
	net := simnet.New(simnet.Link{})
	a, b, c := newPeer(t, net, 0, 1, 2), newPeer(t, net, 1, 0, 2), newPeer(t, net, 2, 0, 1)
	a.make(t, 0, 50)
	waitFiles(t, 50, a, b, c)
	settled(t, a, b)
	image := a.disk.Clone()
	a.make(t, 50, 100) // the image lacks these
	waitFiles(t, 100, b, c)
	a.stop()
	again := setup{disk: image}.peer(t, net, 0, 1, 2)
	again.make(t, 100, 120) // numbered like those that were lost
	waitFiles(t, 120, again, b, c)
	if !again.names.Restored() {
		t.Error("goes on under the old incarnation")
	}
	b.make(t, 0, 5)
	again.make(t, 120, 125)
	waitFiles(t, 130, again, b, c)
}
