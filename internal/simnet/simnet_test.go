package simnet

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

var (
	alice = ident.DeviceID{1}
	bob   = ident.DeviceID{2}
	carol = ident.DeviceID{3}
)

// pairOf returns both ends of a stream from alice to bob.
func pairOf(t *testing.T, n *Net) (a, b wire.Stream) {
	t.Helper()
	got := make(chan wire.Stream, 1)
	n.Host(bob).Handle("/p", func(_ ident.DeviceID, s wire.Stream) { got <- s })
	a, err := n.Host(alice).Open(t.Context(), bob, "/p")
	if err != nil {
		t.Fatal(err)
	}
	return a, <-got
}

func TestLatencyAndBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Link{Latency: 10 * time.Millisecond, Bandwidth: 1 << 20})
		a, b := pairOf(t, n)
		start := time.Now()
		go func() { _, _ = a.Write(make([]byte, 1<<20)); _ = a.CloseWrite() }()
		var one [1]byte
		if _, err := io.ReadFull(b, one[:]); err != nil {
			t.Fatal(err)
		}
		if first := time.Since(start); first < 10*time.Millisecond || first > 40*time.Millisecond {
			t.Errorf("first byte after %v", first)
		}
		rest, err := io.ReadAll(b)
		if err != nil || len(rest) != 1<<20-1 {
			t.Fatal(len(rest), err)
		}
		if all := time.Since(start); all < 1009*time.Millisecond || all > 1050*time.Millisecond {
			t.Errorf("1 MiB at 1 MiB/s took %v", all)
		}
	})
}

func TestBytesArriveInOrderThroughASmallWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Link{Latency: time.Millisecond})
		a, b := pairOf(t, n)
		want := make([]byte, 5<<20+17)
		for i := range want {
			want[i] = byte(i * 7 >> 3)
		}
		go func() { _, _ = a.Write(want); _ = a.CloseWrite() }()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Link{Stalled: true})
		a, b := pairOf(t, n)
		start := time.Now()
		_ = b.SetReadDeadline(start.Add(time.Second))
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		_ = a.SetDeadline(start.Add(3 * time.Second))
		if sent, err := a.Write(make([]byte, 2*window)); !errors.Is(err, os.ErrDeadlineExceeded) || sent != window {
			t.Fatal(sent, err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Error(d)
		}
		n.SetLink(alice, bob, Link{})
		_ = b.SetReadDeadline(time.Time{})
		if _, err := io.ReadFull(b, make([]byte, window)); err != nil {
			t.Error("after the stall:", err)
		}
	})
}

func TestPartitionDownAndEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Link{})
		a, b := pairOf(t, n)
		events, stop := n.Host(alice).Subscribe()
		expect := func(dev ident.DeviceID, up bool) {
			t.Helper()
			if e := <-events; e != (Event{dev, up}) {
				t.Fatalf("got %v %v", e.Device.Short(), e.Connected)
			}
		}
		expect(bob, true)
		n.Host(carol)
		expect(carol, true)
		n.Partition(alice, bob)
		expect(bob, false)
		for _, s := range []wire.Stream{a, b} {
			if _, err := s.Read(make([]byte, 1)); !errs.Is(err, errs.Offline) {
				t.Error(err)
			}
		}
		if _, err := n.Host(alice).Open(t.Context(), bob, "/p"); !errs.Is(err, errs.Offline) {
			t.Error(err)
		}
		n.Heal(alice, bob)
		expect(bob, true)
		n.Down(bob)
		n.Up(bob)
		expect(bob, false) // too quick to be seen, but streams broke
		expect(bob, true)
		n.Down(carol)
		expect(carol, false)
		a, b = pairOf(t, n)
		n.Break(alice, bob)
		expect(bob, false)
		expect(bob, true)
		if _, err := b.Write([]byte{1}); !errs.Is(err, errs.Offline) {
			t.Error(err)
		}
		stop()
		stop()
		for range events { // closed
		}
		if len(n.wayLocked(alice, bob).streams) != 0 {
			t.Error("a broken stream is remembered")
		}
		_ = a
	})
}
