package p2p

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/shelffs/shelf/internal/errs"
)

const (
	relayMute     = 15 * time.Second // how long somebody may be connected who has not said the secret
	relayPatience = 4 * time.Second  // how long somebody is waited for whom another one seeks
	relayBuffer   = 64 << 10         // of a connection, each way
	relayPlaces   = 512              // devices that wait
	relayCircuits = 64               // connections of one device
	// A place is held as long as the connection that asked for it. It also has an end by the clock, which the
	// two machines may not agree about: so far off that it is none.
	relayTerm = 50 * 365 * 24 * time.Hour
)

// RelayConfig makes a Relay.
type RelayConfig struct {
	Key    ed25519.PrivateKey // what its connections prove
	Secret string             // as in its address; NewRelaySecret
	Listen []string           // multiaddrs; all have to be free
	Log    *slog.Logger       // optional
}

// NewRelaySecret is a secret for a relay.
func NewRelaySecret() string { s := newSecret(); return secretText.EncodeToString(s[:]) }

// Relay passes connections on between devices that cannot reach one another. What passes is encrypted between
// those; the relay learns their transport keys, addresses, when they are on and how much they send. It serves
// whoever says its secret.
type Relay struct {
	host   host.Host
	relay  *relay.Relay
	secret relaySecret
	log    *slog.Logger

	mu      sync.Mutex
	members map[peer.ID]bool // connected, and have said the secret: whether they have taken their place
	taken   chan struct{}    // closed and replaced whenever one is
}

// NewRelay starts a relay; it serves until Close. ctx bounds the start only.
func NewRelay(ctx context.Context, cfg RelayConfig) (*Relay, error) {
	const op = "p2p.NewRelay"
	if err := ctx.Err(); err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	key, err := privateKey(cfg.Key)
	if err != nil {
		return nil, err
	}
	r := &Relay{log: cfg.Log, members: map[peer.ID]bool{}, taken: make(chan struct{})}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	secret, err := secretText.DecodeString(cfg.Secret)
	if err != nil || len(secret) != len(r.secret) {
		return nil, errs.E(op, errs.Invalid, "secret", err)
	}
	r.secret = relaySecret(secret)
	if r.host, err = newStack(key, libp2p.DisableRelay()); err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	if err = r.begin(cfg.Listen); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Relay) begin(listen []string) error {
	const op = "p2p.NewRelay"
	rc := relay.DefaultResources()
	rc.Limit, rc.ReservationTTL, rc.BufferSize = nil, relayTerm, relayBuffer
	rc.MaxReservations, rc.MaxCircuits = relayPlaces, relayCircuits
	rc.MaxReservationsPerIP, rc.MaxReservationsPerASN = relayPlaces, relayPlaces // a household has one address
	var err error
	if r.relay, err = relay.New(r.host, relay.WithResources(rc), relay.WithACL(r)); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	r.host.SetStreamHandler(relayProtocol, r.hear)
	r.host.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { time.AfterFunc(relayMute, func() { r.endMute(c) }) },
		DisconnectedF: func(n network.Network, c network.Conn) { r.left(n, c.RemotePeer()) },
	})
	for _, s := range listen {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return errs.E(op, errs.Invalid, s, err)
		}
		_, err = listenOn(r.host, a)
		if _, is6 := a.ValueForProtocol(ma.P_IP6); err != nil && !(is6 == nil && len(r.host.Network().ListenAddresses()) > 0) { // many machines have no IPv6
			return errs.E(op, errs.Busy, s, err)
		}
	}
	return nil
}

// hear lets in whoever says the secret.
func (r *Relay) hear(s network.Stream) {
	defer func() { _ = s.Close() }()
	_ = s.SetDeadline(time.Now().Add(relayMute))
	said, err := readRelayHello(s)
	if err != nil {
		_ = s.Reset()
		return
	}
	if !said.secret.is(r.secret) {
		_, _ = s.Write([]byte{relayUnknown})
		return
	}
	id := s.Conn().RemotePeer()
	if r.enter(id, said.verb == relayWaits) {
		r.log.Info("a device is here", "device", id.ShortString(), "from", s.Conn().RemoteMultiaddr())
	}
	answer := byte(relayWelcome)
	if said.verb == relaySeeks && !r.awaits(said.sought) {
		answer = relayAbsent
	}
	_, _ = s.Write([]byte{answer})
	if r.host.Network().Connectedness(id) != network.Connected { // left meanwhile
		r.left(r.host.Network(), id)
	}
}

// enter notes that a device has said the secret, for the first time if fresh, and may have taken its place.
func (r *Relay) enter(id peer.ID, waits bool) (fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waited, known := r.members[id]
	r.members[id] = waited || waits
	if waits && !waited {
		close(r.taken)
		r.taken = make(chan struct{})
	}
	return !known
}

// awaits waits for a device to take its place: after a start of the relay all look for each other at once, and
// who is called too early is not called again soon.
func (r *Relay) awaits(id peer.ID) bool {
	late := time.NewTimer(relayPatience)
	defer late.Stop()
	for {
		r.mu.Lock()
		waits, taken := r.members[id], r.taken
		r.mu.Unlock()
		if waits {
			return true
		}
		select {
		case <-taken:
		case <-late.C:
			return false
		}
	}
}

// endMute hangs up on whoever has not said the secret.
func (r *Relay) endMute(c network.Conn) {
	if !r.member(c.RemotePeer()) {
		_ = c.Close()
	}
}

func (r *Relay) left(n network.Network, id peer.ID) {
	if n.Connectedness(id) == network.Connected {
		return
	}
	r.mu.Lock()
	_, was := r.members[id]
	delete(r.members, id)
	r.mu.Unlock()
	if was {
		r.log.Info("a device has left", "device", id.ShortString())
	}
}

func (r *Relay) member(id peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, is := r.members[id]
	return is
}

// AllowReserve implements relay.ACLFilter.
func (r *Relay) AllowReserve(p peer.ID, _ ma.Multiaddr) bool { return r.member(p) }

// AllowConnect implements relay.ACLFilter.
func (r *Relay) AllowConnect(src peer.ID, _ ma.Multiaddr, dest peer.ID) bool {
	return r.member(src) && r.member(dest)
}

// Addrs are the addresses at which devices find it, one for each address of this machine, public ones first;
// with hosts given, these in their place.
func (r *Relay) Addrs(hosts ...string) (out []RelayAddr, err error) {
	all, err := r.host.Network().InterfaceListenAddresses()
	if err != nil {
		return nil, errs.E("p2p.Relay.Addrs", errs.Other, "", err)
	}
	all = slices.DeleteFunc(all, func(a ma.Multiaddr) bool { return !usable(a) })
	if plain := slices.DeleteFunc(slices.Clone(all), isLoopback); len(plain) > 0 {
		all = plain
	}
	slices.SortStableFunc(all, func(a, b ma.Multiaddr) int { return relayWorth(a) - relayWorth(b) })
	for _, a := range all {
		ip, err := manet.ToIP(a)
		if err != nil {
			continue
		}
		port, err := strconv.ParseUint(portOf(a), 10, 16)
		if err != nil {
			continue
		}
		one := RelayAddr{id: r.host.ID(), secret: r.secret, host: ip.String(), port: uint16(port)}
		if len(hosts) == 0 {
			out = append(out, one)
			continue
		}
		for _, h := range hosts {
			if one.host = h; !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	}
	return out, nil
}

func relayWorth(a ma.Multiaddr) int {
	if !isNear(a) {
		return 0
	}
	return worth(a) + 1
}

// Close ends it, with all connections.
func (r *Relay) Close() error {
	if r.relay != nil {
		_ = r.relay.Close()
	}
	return r.host.Close()
}

// RelayListen are the usual addresses of a relay for [HOST]:PORT; without a host, all of this machine.
func RelayListen(at string) ([]string, error) {
	invalid := func(err error) ([]string, error) { return nil, errs.E("p2p.RelayListen", errs.Invalid, at, err) }
	h, port, err := net.SplitHostPort(at)
	if err != nil {
		return invalid(errors.New("say it as :PORT or ADDRESS:PORT"))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return invalid(errors.New("say it as :PORT or ADDRESS:PORT"))
	}
	ip := net.ParseIP(h)
	switch {
	case h == "":
		return []string{"/ip4/0.0.0.0/tcp/" + port, "/ip6/::/tcp/" + port}, nil
	case ip == nil:
		return invalid(errors.New("say an address of this machine, not a name"))
	case ip.To4() != nil:
		return []string{"/ip4/" + h + "/tcp/" + port}, nil
	}
	return []string{"/ip6/" + h + "/tcp/" + port}, nil
}
