package daemon

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"time"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/wire"
)

// Network is the devices of the account as this one reaches them: *p2p.Host, or one in memory
// for tests.
type Network interface {
	Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error)
	Handle(protocol string, h func(dev ident.DeviceID, s wire.Stream))
	HandleGuest(protocol string, h func(transport ident.TransportKey, s wire.Stream))
	GuestsOpen(open bool)
	HandleStranger(protocol string, limit int, ask func(transport ident.TransportKey, s wire.Stream), answer func(s wire.Stream))
	Subscribe() (events <-chan p2p.Event, stop func())
	Peers() []p2p.PeerState
	Refresh()
	Addrs() []string
	AddAddrs(dev ident.DeviceID, addrs []string, itself bool)
	Relays() []p2p.RelayState
	SetRelays([]p2p.RelayAddr) error
	Check(dev ident.DeviceID)
	Close() error
}

// Via is the kind of network that a device is on.
type Via interface {
	// Open brings the account's device onto the network.
	Open(ctx context.Context, a *share.Account, db *kv.DB, s config.Start, log *slog.Logger) (Network, error)
	// Knock opens a stream to the device that made an invitation, as the stranger that proves key.
	Knock(ctx context.Context, key ed25519.PrivateKey, t share.Token, s config.Start, log *slog.Logger) (stream wire.Stream, done func(), err error)
}

// libp2p is the real one.
type libp2p struct{}

// Tables of the meta store that belong to the network.
const (
	tableAddrs  = '4' // device → CBOR array of multiaddrs, best first
	tableListen = '5' // → CBOR array of multiaddrs we listened on last: others look for us there
	tableSeen   = '6' // device → unix milliseconds of the last contact
	tableRelays = 'R' // → CBOR array of the addresses of the relays that this device uses
)

// directory is the account as the gate sees it.
type directory struct{ a *share.Account }

func (d directory) Allowed(t ident.TransportKey) bool { _, ok := d.a.Allowed(t); return ok }

func (d directory) Peers() []p2p.Peer {
	var out []p2p.Peer
	self := d.a.Self().ID
	for _, dev := range d.a.Devices() {
		if dev.ID != self && !dev.Revoked {
			out = append(out, p2p.Peer{Device: dev.ID, Transport: dev.Transport})
		}
	}
	return out
}

// addrBook keeps addresses in the meta store.
type addrBook struct{ db *kv.DB }

func (b addrBook) key(dev ident.DeviceID) kv.Key { return b.db.Key(tableAddrs, kv.Plain(dev[:])) }

func (b addrBook) Load(dev ident.DeviceID) []string {
	var out []string
	if v, err := b.db.Get(b.key(dev)); err == nil {
		_ = wire.Unmarshal(v, &out) // a row that cannot be read is as good as none
	}
	return out
}

func (b addrBook) Store(dev ident.DeviceID, addrs []string) {
	_ = put(b.db, b.key(dev), wire.Marshal(addrs))
}

func put(db *kv.DB, k kv.Key, v []byte) error {
	b := db.Batch()
	if err := b.Set(k, v); err != nil {
		b.Close()
		return err
	}
	return b.Commit(kv.NoSync)
}

// Open implements Via. The host listens on the addresses of the start, else on those of last time, so that
// others find us where we were.
func (libp2p) Open(ctx context.Context, a *share.Account, db *kv.DB, s config.Start, log *slog.Logger) (Network, error) {
	listen := s.Listen
	key := db.Key(tableListen)
	if len(listen) == 0 {
		if v, err := db.Get(key); err == nil {
			_ = wire.Unmarshal(v, &listen)
		}
	}
	if len(listen) == 0 {
		listen = p2p.Listen(0)
	}
	host, err := newHost(ctx, a.TransportKey(), listen, directory{a}, addrBook{db}, log)
	if err != nil {
		return nil, err
	}
	if len(s.Listen) == 0 {
		if err := put(db, key, wire.Marshal(host.Listening())); err != nil {
			_ = host.Close()
			return nil, err
		}
	}
	return host, nil
}

// Knock implements Via.
func (libp2p) Knock(ctx context.Context, key ed25519.PrivateKey, t share.Token, s config.Start, log *slog.Logger) (wire.Stream, func(), error) {
	listen := s.Listen
	if len(listen) == 0 {
		listen = p2p.Listen(0)
	}
	host, err := newHost(ctx, key, listen, nobody{}, nil, log)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, knockTime)
	defer cancel()
	stream, err := host.OpenGuest(ctx, t.Inviter, t.Addrs, share.JoinProtocol)
	if err != nil {
		_ = host.Close()
		return nil, nil, err
	}
	return stream, func() { _ = host.Close() }, nil
}

// knockTime is how long the inviting device is looked for.
const knockTime = 30 * time.Second

// nobody is the directory of a device that has no account yet.
type nobody struct{}

func (nobody) Allowed(ident.TransportKey) bool { return false }
func (nobody) Peers() []p2p.Peer               { return nil }

func newHost(ctx context.Context, key ed25519.PrivateKey, listen []string, dir p2p.Directory, book p2p.AddrBook, log *slog.Logger) (*p2p.Host, error) {
	return p2p.New(ctx, p2p.Config{TransportKey: key, Listen: listen, MDNS: true, Directory: dir, AddrBook: book, Log: log})
}

// followMembers tells the gate and the names of conflict copies who belongs to us now. That names may be
// others makes mounts forget all they know, and lose in it what else happened just then: it is told only
// when a device is called by another name, not when one comes.
func (p *parts) followMembers(ctx context.Context) {
	called := map[ident.DeviceID]string{}
	for {
		changed := p.account.Changed()
		p.host.Refresh()
		if p.renamed(called) {
			p.names.NamesChanged()
		}
		if err := p.names.ReleasesChanged(); err != nil {
			p.log.Warn("what was released could not be noted", "err", err)
		}
		p.replicator.Renew() // or it would come with the next change
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// renamed notes how the devices are called, and reports whether one was called differently before.
func (p *parts) renamed(called map[ident.DeviceID]string) (yes bool) {
	for _, d := range p.account.Devices() {
		before, known := called[d.ID]
		yes = yes || known && before != d.Name
		called[d.ID] = d.Name
	}
	return yes
}

// addrsProtocol is one frame: where devices may be found, as far as the sender knows. So two
// devices that never met find each other through a third.
const addrsProtocol = "/shelf/addrs/1"

type deviceAddrs struct {
	Device []byte   `cbor:"1,keyasint"`
	Addrs  []string `cbor:"2,keyasint"`
}

const (
	maxAddrs     = 16
	addrsFrame   = 64 << 10
	addrsTimeout = 10 * time.Second
)

// tellAddresses says our addresses to every device that connects, and those of the others to all
// who are connected already when somebody new comes.
func (p *parts) tellAddresses(ctx context.Context) {
	p.host.Handle(addrsProtocol, p.hearAddresses)
	events, stop := p.host.Subscribe()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ev, ok := <-events:
			if !ok {
				return
			}
			p.noteSeen(ev.Device)
			if !ev.Connected {
				continue
			}
			for _, peer := range p.host.Peers() {
				if peer.Connected {
					p.sendAddresses(ctx, peer.Device, p.ways())
				}
			}
		}
	}
}

// sendAddresses tells a device how this one is reached, and what is known of the others.
func (p *parts) sendAddresses(ctx context.Context, to ident.DeviceID, ways []string) {
	self := p.self()
	list := []deviceAddrs{{Device: self[:], Addrs: first(ways, maxAddrs)}}
	for _, dev := range p.account.Devices() {
		if a := (addrBook{p.meta}).Load(dev.ID); len(a) > 0 && dev.ID != to && !dev.Revoked {
			list = append(list, deviceAddrs{Device: dev.ID[:], Addrs: first(a, maxAddrs)})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, addrsTimeout)
	defer cancel()
	s, err := p.host.Open(ctx, to, addrsProtocol)
	if err != nil {
		return
	}
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(addrsTimeout))
	_ = wire.WriteFrame(s, wire.Marshal(list))
}

func (p *parts) hearAddresses(from ident.DeviceID, s wire.Stream) {
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(addrsTimeout))
	f, err := wire.ReadFrame(s, addrsFrame)
	var list []deviceAddrs
	if err != nil || wire.Unmarshal(f, &list) != nil {
		p.log.Debug("addresses refused", "device", from.Short())
		return
	}
	for _, l := range list {
		if len(l.Device) != 32 || len(l.Addrs) > maxAddrs {
			return
		}
		if dev := ident.DeviceID(l.Device); dev != p.self() && p.account.Member(dev) {
			p.host.AddAddrs(dev, l.Addrs, dev == from)
		}
	}
}

func first[T any](list []T, n int) []T { return list[:min(n, len(list))] }

func (p *parts) seenKey(dev ident.DeviceID) kv.Key { return p.meta.Key(tableSeen, kv.Plain(dev[:])) }

// noteSeen remembers over restarts when a device was last connected.
func (p *parts) noteSeen(dev ident.DeviceID) {
	_ = put(p.meta, p.seenKey(dev), wire.Marshal(time.Now().UnixMilli()))
}

func (p *parts) lastSeen(dev ident.DeviceID) *time.Time {
	v, err := p.meta.Get(p.seenKey(dev))
	var ms int64
	if err != nil || wire.Unmarshal(v, &ms) != nil {
		return nil
	}
	return new(time.UnixMilli(ms))
}
