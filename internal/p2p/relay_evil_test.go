package p2p

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	pb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/multiformats/go-multistream"

	"github.com/shelffs/shelf/internal/ident"
)

// oneDevice is an account with one other device.
type oneDevice struct{ p Peer }

func (d oneDevice) Peers() []Peer                     { return []Peer{d.p} }
func (d oneDevice) Allowed(k ident.TransportKey) bool { return k == d.p.Transport }

type streamConn struct{ network.Stream }

func (streamConn) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (streamConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// A relay that says a device of the account calls, and answers in its place, is not taken for that device.
func TestRelayCannotPretend(t *testing.T) {
	r, err := NewRelay(t.Context(), RelayConfig{Key: ident.NewKey(), Secret: NewRelaySecret(), Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at, err := r.Addrs("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	other := Peer{Device: ident.DeviceID{2}, Transport: TransportKeyOf(ident.NewKey())}
	h, err := New(t.Context(), Config{TransportKey: ident.NewKey(), Directory: oneDevice{other}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.SetRelays(at); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); !h.Relays()[0].Waiting; time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatal("no place at the relay")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	claimed, err := peerID(other.Transport)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.host.NewStream(ctx, h.host.ID(), proto.ProtoIDv2Stop)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(10 * time.Second))
	in := util.NewDelimitedReader(s, 4096)
	defer in.Close()
	err = util.NewDelimitedWriter(s).WriteMsg(&pb.StopMessage{Type: pb.StopMessage_CONNECT.Enum(), Peer: util.PeerInfoToPeerV2(peer.AddrInfo{ID: claimed})})
	var answer pb.StopMessage
	if err == nil {
		err = in.ReadMsg(&answer)
	}
	if err != nil || answer.GetStatus() != pb.Status_OK {
		t.Fatal("the connection is not taken at all:", answer.GetStatus(), err)
	}
	if err := multistream.SelectProtoOrFail(libp2ptls.ID, s); err != nil {
		t.Fatal(err)
	}
	own, err := privateKey(ident.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	tls, err := newSecure(libp2ptls.ID, own, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.SecureOutbound(ctx, streamConn{s}, h.host.ID())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes were said to whoever pretends", n)
	}
	if p := h.Peers()[0]; p.Connected {
		t.Errorf("taken for the device: %+v", p)
	}
}

// What is read as a hello is written again as it was.
func FuzzReadRelayHello(f *testing.F) {
	id, err := peerID(TransportKeyOf(ident.NewKey()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(relayHello{newSecret(), relaySeeks, id}.encode())
	f.Add(relayHello{newSecret(), relayWaits, ""}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readRelayHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		written := r.encode()
		if r.verb != relaySeeks { // the rest means nothing then
			b = append(b[:len(r.secret)+1:len(r.secret)+1], make([]byte, relayHelloSize-len(r.secret)-1)...)
		}
		if again, err := readRelayHello(bytes.NewReader(written)); err != nil || again != r || !bytes.Equal(written, b[:relayHelloSize]) {
			t.Errorf("%x is read as %v, and written as %x (%v)", b, r, written, err)
		}
	})
}
