package p2p

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// timeless is the certificate of a connection before its keys are put in. What it proves is the key of the
// device, which knows no time; but whoever checks it compares its dates with a clock of his own. libp2p's
// begin an hour before now, which cuts devices off from each other whose clocks differ by more. These hold
// by every clock that a computer can have; the end is the one that RFC 5280 (4.1.2.5) has for "none".
// Each identity adds to its template, so each takes one of its own.
func timeless() (libp2ptls.IdentityOption, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	return libp2ptls.WithCertTemplate(&x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{SerialNumber: serial.String()},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}), nil
}

// secure is libp2p's TLS over TCP with a timeless certificate, which its own constructor does not take. It
// speaks the same protocol, and leaves all verification to libp2p.
type secure struct {
	id       protocol.ID
	self     peer.ID
	identity *libp2ptls.Identity
	protos   []string // for ALPN: the muxers, so that the choice of one takes no round trip
}

func newSecure(id protocol.ID, key crypto.PrivKey, muxers []upgrader.StreamMuxer) (*secure, error) {
	self, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	cert, err := timeless()
	if err != nil {
		return nil, err
	}
	identity, err := libp2ptls.NewIdentity(key, cert)
	if err != nil {
		return nil, err
	}
	t := &secure{id: id, self: self, identity: identity}
	for _, m := range muxers {
		t.protos = append(t.protos, string(m.ID))
	}
	return t, nil
}

// ID implements sec.SecureTransport.
func (t *secure) ID() protocol.ID { return t.id }

// SecureInbound implements sec.SecureTransport.
func (t *secure) SecureInbound(ctx context.Context, raw net.Conn, p peer.ID) (sec.SecureConn, error) {
	return t.shake(ctx, raw, p, tls.Server)
}

// SecureOutbound implements sec.SecureTransport.
func (t *secure) SecureOutbound(ctx context.Context, raw net.Conn, p peer.ID) (sec.SecureConn, error) {
	return t.shake(ctx, raw, p, tls.Client)
}

// shake makes the handshake, by which p, or if that is empty whoever it is, proves its key.
func (t *secure) shake(ctx context.Context, raw net.Conn, p peer.ID, side func(net.Conn, *tls.Config) *tls.Conn) (sec.SecureConn, error) {
	config, proven := t.identity.ConfigForPeer(p)
	config.NextProtos = append(t.protos[:len(t.protos):len(t.protos)], config.NextProtos...)
	below := newRecords(raw)
	c := side(below, config)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	s := &secured{Conn: c, below: below, self: t.self}
	select {
	case s.key = <-proven: // there since before the handshake ended
	default:
	}
	var err error
	if s.key == nil {
		err = errors.New("the handshake proved no key")
	} else {
		s.remote, err = peer.IDFromPublicKey(s.key)
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	if chosen := c.ConnectionState().NegotiatedProtocol; slices.Contains(t.protos, chosen) {
		s.state = network.ConnectionState{StreamMultiplexer: protocol.ID(chosen), UsedEarlyMuxerNegotiation: true}
	}
	return s, nil
}

// secured is a connection whose other end has proven its key.
type secured struct {
	*tls.Conn
	below        *records
	writing      sync.Mutex
	self, remote peer.ID
	key          crypto.PubKey
	state        network.ConnectionState
}

// Write implements net.Conn: all records of b go at once.
func (s *secured) Write(b []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if sent := s.below.together(func() { n, err = s.Conn.Write(b) }); sent != nil {
		return 0, sent
	}
	return n, err
}

// Close implements net.Conn. A farewell cannot be said while the other side takes nothing.
func (s *secured) Close() error {
	if s.below.flushing.Load() {
		return s.below.Close()
	}
	return s.Conn.Close()
}

func (s *secured) LocalPeer() peer.ID                 { return s.self }
func (s *secured) RemotePeer() peer.ID                { return s.remote }
func (s *secured) RemotePublicKey() crypto.PubKey     { return s.key }
func (s *secured) ConnState() network.ConnectionState { return s.state }
