package p2p

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/gologshim"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	firstWindow  = 1 << 20  // a stream's window before it grows
	maxWindow    = 16 << 20 // 147 MB/s over 20 ms of round trip
	dialTimeout  = 10 * time.Second
	localTimeout = 3 * time.Second
)

// newStack builds the libp2p host, not listening yet. No Noise, no metrics, no address services: connections
// to own devices, by known addresses and relays, and nothing else. The options come last.
func newStack(key crypto.PrivKey, more ...libp2p.Option) (host.Host, error) {
	// libp2p logs to stderr by itself, ordinary events as errors among it. Whatever matters reaches us as
	// an error value.
	gologshim.SetDefaultHandler(slog.DiscardHandler)
	limits, err := resources()
	if err != nil {
		return nil, err
	}
	cert, err := timeless()
	if err != nil {
		return nil, err
	}
	mux := *yamux.DefaultTransport
	mux.InitialStreamWindowSize = firstWindow
	mux.MaxStreamWindowSize = maxWindow
	return libp2p.New(append([]libp2p.Option{
		libp2p.Identity(key),
		libp2p.NoListenAddrs,
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport(), tcp.WithConnectionTimeout(localTimeout)),
		libp2p.Transport(quic.NewTransport, quic.WithTLSIdentityOption(cert)),
		libp2p.Security(tls.ID, newSecure),
		libp2p.Muxer(yamux.ID, &mux),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.ResourceManager(limits),
		libp2p.WithDialTimeout(dialTimeout),
		libp2p.SwarmOpts(
			swarm.WithDialRanker(rank),
			swarm.WithDialTimeoutLocal(localTimeout),
			swarm.WithUDPBlackHoleSuccessCounter(nil), // a few fixed peers: nothing to learn from statistics
			swarm.WithIPv6BlackHoleSuccessCounter(nil),
		),
		libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.Ping(false),
		libp2p.UserAgent("shelf"),
	}, more...)...)
}

// resources are fixed limits that a few devices with a few streams of large windows fit into.
func resources() (network.ResourceManager, error) {
	scope := func(conns, streams rcmgr.LimitVal, memory rcmgr.LimitVal64) rcmgr.ResourceLimits {
		return rcmgr.ResourceLimits{
			Conns: conns, ConnsInbound: conns, ConnsOutbound: conns, FD: conns,
			Streams: streams, StreamsInbound: streams, StreamsOutbound: streams, Memory: memory,
		}
	}
	limits := rcmgr.PartialLimitConfig{
		System:              scope(512, 8192, 2<<30),
		Transient:           scope(64, 512, 64<<20),
		ServiceDefault:      scope(512, 8192, 2<<30),
		ServicePeerDefault:  scope(16, 512, 512<<20),
		ProtocolDefault:     scope(512, 8192, 2<<30),
		ProtocolPeerDefault: scope(16, 512, 512<<20),
		PeerDefault:         scope(16, 512, 512<<20),
		Conn:                scope(1, 512, 512<<20),
		Stream:              scope(1, 1, maxWindow+firstWindow),
	}.Build(rcmgr.InfiniteLimits)
	perAddress := &rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{
			{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")},
		},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: 5, Burst: 64}}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 64, Limit: rate.Limit{RPS: 5, Burst: 64}}},
			GracePeriod:      time.Minute,
		},
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithConnRateLimiters(perAddress),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: 64}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 64, ConnCount: 64}},
		))
}

// Between two dials to near addresses, so that they do not all succeed at once and all but one are hung up
// on, perhaps in use already. A dial that fails starts the next one without waiting.
const (
	nextNear  = 50 * time.Millisecond
	quicLater = 250 * time.Millisecond
)

// rank orders a dial: on this machine and network TCP first, which costs half the CPU of QUIC;
// beyond it QUIC first, as libp2p does; relays, which reach tries later, at once.
func rank(all []ma.Multiaddr) []network.AddrDelay {
	addrs, circuits := ma.FilterAddrs(all, isPlain), ma.FilterAddrs(all, isCircuit)
	near := slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return !isNear(a) })
	far := slices.DeleteFunc(slices.Clone(addrs), isNear)
	slices.SortStableFunc(near, func(a, b ma.Multiaddr) int { return nearness(a) - nearness(b) })
	var out []network.AddrDelay
	var delay time.Duration
	for i, a := range near {
		if i > 0 && isQUIC(a) && !isQUIC(near[i-1]) {
			delay += quicLater
		}
		out = append(out, network.AddrDelay{Addr: a, Delay: delay})
		delay += nextNear
	}
	for _, d := range swarm.DefaultDialRanker(far) {
		if len(near) > 0 {
			d.Delay += quicLater
		}
		out = append(out, d)
	}
	for _, a := range circuits {
		out = append(out, network.AddrDelay{Addr: a})
	}
	return out
}

func isCircuit(a ma.Multiaddr) bool { _, err := a.ValueForProtocol(ma.P_CIRCUIT); return err == nil }
func isPlain(a ma.Multiaddr) bool   { return !isCircuit(a) }

// nearness sorts TCP before QUIC, then this machine before the network, then IPv4 before IPv6.
func nearness(a ma.Multiaddr) int {
	n := 0
	if isQUIC(a) {
		n += 4
	}
	if !isLoopback(a) {
		n += 2
	}
	if _, err := a.ValueForProtocol(ma.P_IP6); err == nil {
		n++
	}
	return n
}

func isQUIC(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_QUIC_V1)
	return err == nil
}

func isNear(a ma.Multiaddr) bool {
	return manet.IsPrivateAddr(a) || manet.IsIPLoopback(a) || isLinkLocal(a)
}

func isLinkLocal(a ma.Multiaddr) bool {
	ip, err := manet.ToIP(a)
	return err == nil && ip.IsLinkLocalUnicast()
}

// pathOf classes the remote end of a connection.
func pathOf(a ma.Multiaddr) string {
	if isCircuit(a) {
		return "relay"
	}
	ip, err := manet.ToIP(a)
	switch {
	case err != nil:
		return "direct"
	case ip.IsLoopback(), isOwn(ip):
		return "loopback"
	case isNear(a):
		return "lan"
	}
	return "direct"
}

// isOwn reports whether an address is one of this machine's interfaces.
func isOwn(ip net.IP) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}
