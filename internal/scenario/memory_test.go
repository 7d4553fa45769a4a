package scenario

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/fstest"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/daemon"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/simnet"
	"github.com/shelffs/shelf/internal/wire"
)

// memory is a network in one process: the same parts as in the daemon, over package simnet.
type memory struct {
	net *simnet.Net

	mu     sync.Mutex
	doors  map[ident.TransportKey]ident.DeviceID // who may be knocked at, and under which name on the net
	guests map[ident.DeviceID]ident.TransportKey // strangers, by their name on the net
	asked  questions
	hosts  map[ident.DeviceID]*memoryHost
	far    map[string]bool // names of devices that are on no network of the others
}

func newMemory() *memory {
	return &memory{net: simnet.New(simnet.Link{Latency: 200 * time.Microsecond}),
		doors: map[ident.TransportKey]ident.DeviceID{}, guests: map[ident.DeviceID]ident.TransportKey{}, hosts: map[ident.DeviceID]*memoryHost{}, far: map[string]bool{}}
}

// moves says whether a device is on another network than the others.
func (m *memory) moves(name string, far bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.far[name] = far
}

// path is the kind of way between two devices, as p2p has it.
func (m *memory) path(a, b string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.far[a] || m.far[b] {
		return "direct"
	}
	return "lan"
}

// Open implements daemon.Via.
func (m *memory) Open(_ context.Context, a *share.Account, _ *kv.DB, _ config.Start, _ *slog.Logger) (daemon.Network, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	self := a.Self()
	m.doors[self.Transport] = self.ID
	h := m.net.Host(self.ID)
	m.net.Up(self.ID)
	host := &memoryHost{Host: h, m: m, account: a}
	m.hosts[self.ID] = host
	return host, nil
}

// Knock implements daemon.Via.
func (m *memory) Knock(ctx context.Context, key ed25519.PrivateKey, t share.Token, _ config.Start, _ *slog.Logger) (wire.Stream, func(), error) {
	guest := ident.DeviceIDOf(ident.NewKey())
	m.mu.Lock()
	m.guests[guest] = ident.TransportKey(key.Public().(ed25519.PublicKey))
	door := m.doors[t.Inviter]
	m.mu.Unlock()
	s, err := m.net.Host(guest).Open(ctx, door, share.JoinProtocol)
	return s, func() { m.net.Down(guest) }, err
}

// memoryHost is a daemon.Network.
type memoryHost struct {
	*simnet.Host
	m       *memory
	account *share.Account
	ends    []func()
}

func (h *memoryHost) HandleGuest(protocol string, fn func(ident.TransportKey, wire.Stream)) {
	h.Host.Handle(protocol, func(dev ident.DeviceID, s wire.Stream) {
		h.m.mu.Lock()
		key := h.m.guests[dev]
		h.m.mu.Unlock()
		fn(key, s)
	})
}

func (h *memoryHost) Peers() (out []p2p.PeerState) {
	up := map[ident.DeviceID]bool{}
	for _, d := range h.Connected() {
		up[d] = true
	}
	for _, d := range h.account.Devices() {
		if d.ID != h.account.Self().ID {
			out = append(out, p2p.PeerState{Device: d.ID, Connected: up[d.ID], Path: h.m.path(h.account.Self().Name, d.Name)})
		}
	}
	return out
}

func (h *memoryHost) GuestsOpen(bool)                         {}
func (h *memoryHost) Refresh()                                {}
func (h *memoryHost) Addrs() []string                         { return nil }
func (h *memoryHost) AddAddrs(ident.DeviceID, []string, bool) {}
func (h *memoryHost) Relays() []p2p.RelayState                { return nil }
func (h *memoryHost) SetRelays([]p2p.RelayAddr) error         { return nil }
func (h *memoryHost) Check(ident.DeviceID)                    {}
func (h *memoryHost) Close() error {
	for _, end := range h.ends {
		end()
	}
	h.m.net.Down(h.account.Self().ID)
	return nil
}

// memoryDevice is one actor on it.
type memoryDevice struct {
	t     testing.TB
	m     *memory
	start config.Start
	dev   daemon.Device
}

func newMemoryDevice(t testing.TB, m *memory, name string) *memoryDevice {
	t.Helper()
	d := &memoryDevice{t: t, m: m, start: config.Start{Home: config.Home(t.TempDir()), Name: name, CacheSize: 1 << 30, Version: "test",
		Background: config.Background{Battery: new(0), Metered: "no", NoPressure: true}}}
	t.Cleanup(d.away)
	return d
}

func (d *memoryDevice) open(change func(*config.Start)) {
	d.t.Helper()
	s := d.start
	change(&s)
	dev, err := daemon.Open(context.Background(), s, slog.New(slog.DiscardHandler), d.m)
	if err != nil {
		d.t.Fatal(err)
	}
	d.dev = dev
}

func (d *memoryDevice) create() { d.open(func(s *config.Start) { s.Create = true }) }
func (d *memoryDevice) back()   { d.open(func(*config.Start) {}) }

func (d *memoryDevice) away() {
	if d.dev == nil {
		return
	}
	if err := d.dev.Close(); err != nil {
		d.t.Error(err)
	}
	d.dev = nil
}

func (d *memoryDevice) admit(other actor) {
	d.t.Helper()
	host := &yes{token: make(chan string, 1)}
	done := make(chan error, 1)
	go func() {
		_, err := d.dev.Invite(context.Background(), controlapi.InviteRequest{TTL: time.Hour, Auto: true}, host)
		done <- err
	}()
	token := <-host.token
	other.(*memoryDevice).open(func(s *config.Start) { s.Token = token })
	if err := <-done; err != nil {
		d.t.Fatal(err)
	}
}

func (d *memoryDevice) sys() fstest.Sys { return fstest.Core(d.dev.FS(), fs.Caller{}, "") }

func (d *memoryDevice) pin(path string) error {
	res, err := d.dev.Pin(context.Background(), controlapi.PlaceRequest{Paths: []string{path}, Wait: true}, func(controlapi.Progress) {})
	if err == nil && res.Items[0].Refused != nil {
		err = errs.E("pin", errs.Refused, res.Items[0].Refused.Reason, nil)
	}
	return err
}

func (d *memoryDevice) blocksIn() int64 {
	s, _ := d.dev.Status(context.Background())
	return s.Transferred.BlocksIn
}

// yes is a person who lets everybody in.
type yes struct{ token chan string }

func (y *yes) Opened(t controlapi.InviteToken) error               { y.token <- t.Token; return nil }
func (y *yes) Ask(context.Context, controlapi.Asker) (bool, error) { return true, nil }
func (y *yes) Failed(string)                                       {}
