package replicate

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/share"
	"github.com/shelffs/shelf/internal/simnet"
	"github.com/shelffs/shelf/internal/wire"
)

// Who acknowledges says before whom it knows: a removal is forgotten when all known members have acknowledged
// it, and one of them may have let in a device that does not know of it.
func TestMembersGoBeforeAcknowledgements(t *testing.T) {
	net := simnet.New(simnet.Link{})
	l := &liar{t: t, host: net.Host(ident.DeviceIDOf(key(0))), id: ident.DeviceIDOf(key(0))}
	b := newPeer(t, net, 1, 0)
	b.make(t, 0, 1)
	first, second := ident.DeviceIDOf(key(2)), ident.DeviceIDOf(key(3))
	_, _ = b.members.Merge([][]byte{first[:]})
	s, err := l.host.Open(context.Background(), b.id, Protocol)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := handshake(s, true, l.id, b.id, [32]byte{5}); err != nil {
		t.Fatal(err)
	}
	knows := []share.Hash{share.Hash(l.id), share.Hash(b.id)}
	greeting := encodeHello(greeting{heads: knows, records: l.replica(0, 1, nil).Hello(b.id), run: run{1}})
	if err := send(s, msgHello, greeting); err != nil {
		t.Fatal(err)
	}
	if _, err := receiveHello(s); err != nil {
		t.Fatal(err)
	}
	var heard [][]byte
	acknowledged := func() namespace.Claims {
		t.Helper()
		for {
			kind, body, err := receive(s)
			switch {
			case err != nil:
				t.Fatal(err)
			case kind == msgMembers:
				var entries [][]byte
				if err := wire.Unmarshal(body, &entries); err != nil {
					t.Fatal(err)
				}
				heard = append(heard, entries...)
			case kind == msgAck:
				c, err := namespace.ParseClaims(body)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
		}
	}
	c := acknowledged()
	if want := [][]byte{first[:]}; !slices.EqualFunc(heard, want, slices.Equal) || !c.Covers(b.names.Claims()) {
		t.Fatalf("heard of %d devices before the first acknowledgement", len(heard))
	}
	_, _ = b.members.Merge([][]byte{second[:]})
	b.make(t, 1, 2)
	for was := c; was.Covers(c); {
		c = acknowledged()
	}
	if want := [][]byte{first[:], second[:]}; !slices.EqualFunc(heard, want, slices.Equal) {
		t.Errorf("heard of %d devices before the second one", len(heard))
	}
}

// Who acknowledges may know somebody of whom it can't be heard here, for his entry is refused: no removal is
// forgotten for such acknowledgements.
func TestAcknowledgementsAfterARefusedMember(t *testing.T) {
	for _, refused := range []bool{false, true} {
		net := simnet.New(simnet.Link{})
		a := newPeer(t, net, 0, 1)
		a.make(t, 0, 1)
		if err := a.names.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		third, claims := ident.DeviceIDOf(key(2)), a.names.Claims()
		if refused {
			a.members.refused = third
		}
		from := net.Host(ident.DeviceIDOf(key(1)))
		read := make(chan error, 1)
		a.host.Handle("/acks", func(dev ident.DeviceID, s wire.Stream) {
			read <- (&pusher{r: a.Replicator, dev: dev, s: s, acked: make(chan struct{})}).readAcks(t.Context())
		})
		s, err := from.Open(t.Context(), a.id, "/acks")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []message{{msgMembers, wire.Marshal([][]byte{third[:]})}, {msgAck, namespace.EncodeClaims(claims)}} {
			if err := send(s, m.kind, m.body); err != nil {
				t.Fatal(err)
			}
		}
		_ = s.CloseWrite()
		if err := <-read; !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if counts := a.names.Acks()[ident.DeviceIDOf(key(1))].Covers(claims); counts == refused {
			t.Errorf("a member is refused: %v; what is acknowledged after it counts: %v", refused, counts)
		}
	}
}
