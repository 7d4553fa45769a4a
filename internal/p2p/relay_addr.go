package p2p

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/shelffs/shelf/internal/errs"
)

// RelayAddr is where a relay is, and the secret for which it passes connections on. As text:
//
//	shelf-relay://SECRET@HOST:PORT/ID
//
// SECRET is 16 bytes in 26 letters and digits, HOST a name or an address, PORT one of TCP (which costs half the
// processor time of QUIC and passes where UDP does not), ID what the relay's connections prove.
type RelayAddr struct {
	id     peer.ID
	secret relaySecret
	host   string
	port   uint16
}

const (
	relayScheme  = "shelf-relay"
	maxRelayText = 255
)

type relaySecret [16]byte

var secretText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newSecret() (s relaySecret) { _, _ = rand.Read(s[:]); return s }

func (s relaySecret) is(other relaySecret) bool {
	return subtle.ConstantTimeCompare(s[:], other[:]) == 1
}

// ParseRelayAddr reads a relay's address; Invalid says what is wrong with it.
func ParseRelayAddr(text string) (RelayAddr, error) {
	invalid := func(why string) (RelayAddr, error) {
		return RelayAddr{}, errs.E("p2p.ParseRelayAddr", errs.Invalid, "address of a relay",
			errors.New(why+"; it is said by `shelf relay serve`, and begins with "+relayScheme+"://"))
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != relayScheme || u.User == nil || len(text) > maxRelayText || u.RawQuery != "" || u.Fragment != "" {
		return invalid("this is none")
	}
	a := RelayAddr{host: u.Hostname()}
	secret, err := secretText.DecodeString(u.User.Username())
	if err != nil || len(secret) != len(a.secret) || secretText.EncodeToString(secret) != u.User.Username() {
		return invalid("its secret is not whole")
	}
	a.secret = relaySecret(secret)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if a.port = uint16(port); err != nil || port == 0 || !isHostName(a.host) {
		return invalid("it names no host and port")
	}
	if a.id, err = peer.Decode(strings.TrimPrefix(u.Path, "/")); err != nil {
		return invalid("its id is not whole")
	}
	if _, ok := transportKey(a.id); !ok {
		return invalid("its id is of another kind")
	}
	return a, nil
}

// isHostName reports whether h is an IP address or may be a name in the DNS.
func isHostName(h string) bool {
	if ip, err := netip.ParseAddr(h); err == nil {
		return ip.Zone() == "" && !ip.IsUnspecified()
	}
	return h != "" && len(h) <= 253 && !strings.ContainsFunc(h, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}

// String is what ParseRelayAddr reads: it has the secret in it.
func (a RelayAddr) String() string {
	u := url.URL{Scheme: relayScheme, User: url.User(secretText.EncodeToString(a.secret[:])), Host: a.Place(), Path: "/" + a.id.String()}
	return u.String()
}

// Place is its HOST:PORT.
func (a RelayAddr) Place() string { return net.JoinHostPort(a.host, strconv.Itoa(int(a.port))) }

// ID names the relay.
func (a RelayAddr) ID() string { return a.id.String() }

// multiaddr is where libp2p calls the relay.
func (a RelayAddr) multiaddr() (ma.Multiaddr, error) {
	kind := "dns"
	if ip, err := netip.ParseAddr(a.host); err == nil {
		kind = map[bool]string{true: "ip4", false: "ip6"}[ip.Is4()]
	}
	return ma.NewMultiaddr("/" + kind + "/" + a.host + "/tcp/" + strconv.Itoa(int(a.port)))
}

// circuit is the address of whoever waits at the relay.
func (a RelayAddr) circuit() (ma.Multiaddr, error) {
	at, err := a.multiaddr()
	if err != nil {
		return nil, err
	}
	return ma.NewMultiaddr(at.String() + "/p2p/" + a.id.String() + "/p2p-circuit")
}

func isRelayText(s string) bool { return strings.HasPrefix(s, relayScheme+":") }

// relaysOf picks the relays out of a device's addresses, no more than MaxRelays.
func relaysOf(addrs []string) (out []RelayAddr) {
	for _, s := range addrs {
		if a, err := ParseRelayAddr(s); err == nil && len(out) < MaxRelays {
			out = append(out, a)
		}
	}
	return out
}

// relayOf is the relay that a connection goes through, "" for a direct one.
func relayOf(remote ma.Multiaddr) peer.ID {
	before, circuit := ma.SplitFunc(remote, func(c ma.Component) bool { return c.Protocol().Code == ma.P_CIRCUIT })
	if circuit == nil || before == nil {
		return ""
	}
	id, err := before.ValueForProtocol(ma.P_P2P)
	if err != nil {
		return ""
	}
	p, err := peer.Decode(id)
	if err != nil {
		return ""
	}
	return p
}
