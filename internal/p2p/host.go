package p2p

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// Host is this device on the network. It is an exchange.Network.
type Host struct {
	cfg  Config
	log  *slog.Logger
	host host.Host
	gate *gate
	hub  *hub
	ctx  context.Context // ends at Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	// mu guards what follows. Nothing waits or calls libp2p while holding it.
	mu     sync.Mutex
	links  map[ident.DeviceID]*link // every device of the Directory
	ids    map[peer.ID]*link
	found  map[peer.ID][]string // strangers seen on the local network
	guests map[peer.ID]bool     // strangers whose guest stream is being served
	asks   question             // for strangers
	asking map[peer.ID]*asked   // those who are being asked
	places map[peer.ID]*place   // at relays
	closed bool
}

// New starts a host: it listens, discovers and dials until Close. ctx bounds the start only.
func New(ctx context.Context, cfg Config) (*Host, error) {
	if err := ctx.Err(); err != nil {
		return nil, errs.E("p2p.New", errs.Other, "", err)
	}
	key, err := privateKey(cfg.TransportKey)
	if err != nil {
		return nil, err
	}
	h := &Host{
		cfg: cfg, log: cfg.Log, gate: newGate(cfg.Directory), hub: newHub(),
		links: map[ident.DeviceID]*link{}, ids: map[peer.ID]*link{}, found: map[peer.ID][]string{}, guests: map[peer.ID]bool{}, asking: map[peer.ID]*asked{},
		places: map[peer.ID]*place{},
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	if h.host, err = newStack(key, libp2p.ConnectionGater(h.gate), libp2p.EnableRelay()); err != nil {
		return nil, errs.E("p2p.New", errs.Other, "", err)
	}
	h.host.SetStreamHandler(pingProtocol, h.answerPing)
	h.host.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) { h.connected(c) },
		DisconnectedF: func(_ network.Network, c network.Conn) {
			h.changed(c.RemotePeer(), true)
			h.relayLost(c)
		},
	})
	sub, err := h.host.EventBus().Subscribe([]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtLocalAddressesUpdated)})
	if err == nil {
		if err = h.listen(cfg.Listen); err != nil {
			_ = sub.Close()
		}
	}
	if err != nil {
		_ = h.host.Close()
		return nil, err
	}
	h.wg.Go(func() { h.events(sub) })
	h.wg.Go(h.pingLoop)
	h.wg.Go(h.wakeLoop)
	h.Refresh()
	return h, nil
}

// Refresh reads the Directory again: closes connections of those who left, dials those who came.
func (h *Host) Refresh() {
	peers := slices.DeleteFunc(slices.Clone(h.cfg.Directory.Peers()), func(p Peer) bool { return !h.cfg.Directory.Allowed(p.Transport) })
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	keep := map[ident.DeviceID]bool{}
	for _, p := range peers {
		id, err := peerID(p.Transport)
		if err != nil {
			h.log.Warn("p2p: a device has no usable transport key", "device", p.Device.Short(), "err", err)
			continue
		}
		keep[p.Device] = true
		if old := h.links[p.Device]; old != nil {
			if old.id == id {
				continue
			}
			h.dropLocked(old)
		}
		l := newLink(h, p.Device, id)
		h.links[p.Device], h.ids[id] = l, l
		h.wg.Go(l.keep)
	}
	for dev, l := range h.links {
		if !keep[dev] {
			h.dropLocked(l)
		}
	}
	h.mu.Unlock()
	h.sweep()
}

// dropLocked forgets a device.
func (h *Host) dropLocked(l *link) {
	l.stop()
	delete(h.links, l.dev)
	if h.ids[l.id] == l {
		delete(h.ids, l.id)
	}
	l.telling.Lock() // whoever is telling of it now has told before it is forgotten
	h.hub.set(l.dev, false, true)
	l.telling.Unlock()
}

// sweep closes the connections of all who may not be connected, and notes those of guests who became
// members.
func (h *Host) sweep() {
	for _, id := range h.host.Network().Peers() {
		switch {
		case h.gate.allowed(id):
			h.changed(id, false)
		case !h.gate.isCalled(id) && !h.gate.guestsOpen() && !h.isGuest(id) && !h.isAsked(id) && !h.passes(id):
			_ = h.host.Network().ClosePeer(id)
		}
	}
}

// ForgetPeer closes all connections of a transport key at once.
func (h *Host) ForgetPeer(transport ident.TransportKey) {
	if id, err := peerID(transport); err == nil {
		_ = h.host.Network().ClosePeer(id)
		h.host.Peerstore().ClearAddrs(id)
	}
	h.Refresh()
}

// Close closes everything and waits.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	for _, l := range h.links {
		l.stop()
	}
	h.mu.Unlock()
	h.stop()
	err := h.host.Close()
	h.wg.Wait()
	h.hub.close()
	if err != nil {
		return errs.E("p2p.Close", errs.Other, "", err)
	}
	return nil
}

// Subscribe gives the events from now on; every device connected now comes first. The host never
// waits for a subscriber: a slow one finds only the newest state of each device. stop closes the channel.
func (h *Host) Subscribe() (events <-chan Event, stop func()) { return h.hub.subscribe() }

// events takes what libp2p tells.
func (h *Host) events(sub event.Subscription) {
	defer func() { _ = sub.Close() }()
	local := newDiscovery(h)
	defer local.stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-local.due():
			local.start()
		case e, ok := <-sub.Out():
			if !ok {
				return
			}
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				h.identified(e)
			case event.EvtLocalAddressesUpdated:
				local.restart()
				h.checkAll() // this device moved to another network, perhaps
				h.checkRelays()
			}
		}
	}
}
