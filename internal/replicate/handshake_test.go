package replicate

import (
	"net"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// pipe is a wire.Stream over net.Pipe.
type pipe struct{ net.Conn }

func (p pipe) CloseWrite() error { return p.Close() }
func (p pipe) Reset() error      { return p.Close() }

func streams() (wire.Stream, wire.Stream) {
	a, b := net.Pipe()
	return pipe{a}, pipe{b}
}

// shake runs both sides and returns what each thought of the other.
func shake(t *testing.T, opener, acceptor func(wire.Stream) error) (o, a error) {
	t.Helper()
	s, u := streams()
	done := make(chan error, 1)
	go func() {
		err := acceptor(u)
		if err != nil {
			_ = u.Reset()
		}
		done <- err
	}()
	o = opener(s)
	if o != nil {
		_ = s.Reset()
	}
	select {
	case a = <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("the acceptor hangs")
	}
	return o, a
}

func TestHandshake(t *testing.T) {
	alice, bob, carol := ident.DeviceIDOf(ident.NewKey()), ident.DeviceIDOf(ident.NewKey()), ident.DeviceIDOf(ident.NewKey())
	key, other := [32]byte{1}, [32]byte{2}
	side := func(opener bool, self, peer ident.DeviceID, blind [32]byte) func(wire.Stream) error {
		return func(s wire.Stream) error { return handshake(s, opener, self, peer, blind) }
	}
	if o, a := shake(t, side(true, alice, bob, key), side(false, bob, alice, key)); o != nil || a != nil {
		t.Fatalf("two members: %v, %v", o, a)
	}
	for name, sides := range map[string][2]func(wire.Stream) error{
		"another share's key":           {side(true, alice, bob, key), side(false, bob, alice, other)},
		"the acceptor is somebody else": {side(true, alice, bob, key), side(false, carol, alice, key)},
		"the opener is somebody else":   {side(true, carol, bob, key), side(false, bob, alice, key)},
		"both think they opened":        {side(true, alice, bob, key), side(true, bob, alice, key)},
	} {
		if o, _ := shake(t, sides[0], sides[1]); o == nil {
			t.Errorf("%s: the opener is content", name)
		}
	}
}

// A stranger who relays a member's own proof back to it gets nowhere.
func TestHandshakeIsNotReflected(t *testing.T) {
	alice, mallory := ident.DeviceIDOf(ident.NewKey()), ident.DeviceIDOf(ident.NewKey())
	key := [32]byte{1}
	_, a := shake(t, func(s wire.Stream) error {
		nonce := make([]byte, nonceLen)
		if err := wire.WriteFrame(s, []byte{version}, nonce); err != nil {
			return err
		}
		f, err := wire.ReadFrame(s, 1024)
		if err != nil {
			return err
		}
		if err := wire.WriteFrame(s, f[nonceLen:]); err != nil { // its own proof
			return err
		}
		_, err = s.Read(make([]byte, 1))
		return err
	}, func(s wire.Stream) error { return handshake(s, false, alice, mallory, key) })
	if a == nil {
		t.Error("a reflected proof was accepted")
	}
}

func FuzzParseHello(f *testing.F) {
	f.Add([]byte{0xa2, 1, 0x80, 2, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = parseHello(b) })
}
