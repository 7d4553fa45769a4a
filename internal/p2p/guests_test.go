package p2p_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

const joinProtocol = "/shelf/test-join/1"

// host is a device that takes guests; admit says what to do with one.
func guestHost(t *testing.T, admit func(h *node, k ident.TransportKey)) *node {
	h := newNode(t, 1, tcpOnly).start()
	h.HandleGuest(joinProtocol, func(k ident.TransportKey, s wire.Stream) {
		var b [2]byte
		if _, err := io.ReadFull(s, b[:]); err != nil {
			return
		}
		admit(h, k)
		_, _ = s.Write([]byte("ok"))
	})
	return h
}

func (n *node) join(h *node) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := n.OpenGuest(ctx, h.me.Transport, h.Addrs(), joinProtocol)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	_ = s.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := s.Write([]byte("hi")); err != nil {
		return err
	}
	var b [2]byte
	_, err = io.ReadFull(s, b[:])
	return err
}

// A stranger who knows the address and even that the host exists gets no connection.
func TestStrangersAreRefused(t *testing.T) {
	h := guestHost(t, func(*node, ident.TransportKey) { t.Error("a guest was heard") })
	h.Handle(echoProtocol, func(ident.DeviceID, wire.Stream) { t.Error("a stranger was served") })
	stranger := newNode(t, 2, tcpOnly)
	stranger.dir.add(h.me) // for its own gate
	stranger.start()
	stranger.AddAddrs(h.me.Device, h.Addrs(), false)
	if err := stranger.echo(h); err == nil {
		t.Error("a stranger was let in")
	}
	other := newNode(t, 3, tcpOnly).start()
	if err := other.join(h); !errs.Is(err, errs.Refused) {
		t.Error("joining while nobody is invited:", err)
	}
}

// While an invitation is open a stranger may join and do nothing else.
func TestGuestsMayOnlyJoin(t *testing.T) {
	h := guestHost(t, func(*node, ident.TransportKey) {})
	h.Handle(echoProtocol, func(ident.DeviceID, wire.Stream) { t.Error("a guest was served") })
	h.GuestsOpen(true)
	guest := newNode(t, 2, tcpOnly).start()
	s, err := guest.OpenGuest(t.Context(), h.me.Transport, h.Addrs(), echoProtocol)
	if err == nil {
		_ = s.SetDeadline(time.Now().Add(2 * time.Second))
		_, _ = s.Write([]byte("x"))
		if _, err = s.Read(make([]byte, 1)); err == nil {
			t.Error("a guest was answered")
		}
		_ = s.Close()
	}
	if err := guest.join(h); err != nil {
		t.Error(err)
	}
	h.GuestsOpen(false)
	late := newNode(t, 3, tcpOnly).start()
	if err := late.join(h); !errs.Is(err, errs.Refused) {
		t.Error("after the invitation:", err)
	}
	if err := late.join(newNode(t, 4, nil).start()); !errs.Is(err, errs.Offline) {
		t.Error("no address:", err)
	}
	gone := newNode(t, 5, tcpOnly).start()
	addrs := gone.Addrs()
	_ = gone.Close()
	if _, err := late.OpenGuest(t.Context(), gone.me.Transport, addrs, joinProtocol); !errs.Is(err, errs.Offline) {
		t.Error("nobody there:", err)
	}
	if _, err := late.OpenGuest(t.Context(), gone.me.Transport, h.Addrs(), joinProtocol); err == nil {
		t.Error("another device in its place was accepted")
	}
}

// Whoever was admitted while a guest is a member on the same connection.
func TestAGuestBecomesAMember(t *testing.T) {
	var guest *node
	h := guestHost(t, func(h *node, k ident.TransportKey) {
		if k != guest.me.Transport {
			t.Error("another key than the guest's")
		}
		h.dir.add(guest.me)
		h.Refresh()
	})
	h.GuestsOpen(true)
	guest = newNode(t, 2, tcpOnly).start()
	if err := guest.join(h); err != nil {
		t.Fatal(err)
	}
	guest.dir.add(h.me)
	guest.Refresh()
	guest.AddAddrs(h.me.Device, h.Addrs(), false)
	h.GuestsOpen(false)
	guest.await(h, true, 2*time.Second)
	h.await(guest, true, 2*time.Second)
	time.Sleep(2500 * time.Millisecond) // past the farewell to guests
	if err := guest.echo(h); err != nil {
		t.Error(err)
	}
	if err := h.echo(guest); err != nil {
		t.Error(err)
	}
}

func TestAGuestCannotSendMuchOrComeOften(t *testing.T) {
	h := newNode(t, 1, tcpOnly).start()
	got := make(chan int, 1)
	h.HandleGuest(joinProtocol, func(_ ident.TransportKey, s wire.Stream) {
		n, _ := io.Copy(io.Discard, s)
		got <- int(n)
	})
	h.GuestsOpen(true)
	guest := newNode(t, 2, tcpOnly).start()
	s, err := guest.OpenGuest(t.Context(), h.me.Transport, h.Addrs(), joinProtocol)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(3 * time.Second))
	_, _ = s.Write(make([]byte, 1<<20))
	if n := <-got; n > 64<<10 {
		t.Errorf("a guest sent %d bytes", n)
	}
	_ = s.Reset()
	refused := 0
	for range 20 {
		g := newNode(t, 3, nil).start()
		if s, err := g.OpenGuest(t.Context(), h.me.Transport, h.Addrs(), joinProtocol); err != nil {
			refused++
		} else {
			_ = s.Reset()
		}
		_ = g.Close()
	}
	if refused < 5 {
		t.Errorf("only %d of 20 strangers in a moment were refused", refused)
	}
}
