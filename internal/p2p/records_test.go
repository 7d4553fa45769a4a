package p2p

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	mrand "math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/sec"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// counted counts the writes of a connection; from one on they fail.
type counted struct {
	net.Conn
	writes atomic.Int64
	broken atomic.Bool
}

var errBroken = errors.New("broken")

func (c *counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	if c.broken.Load() {
		return 0, errBroken
	}
	return c.Conn.Write(b)
}

// securedPair is two ends over loopback; raw is below the first.
func securedPair(t *testing.T) (a, b sec.SecureConn, raw *counted) {
	end := func() *secure {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newSecure(libp2ptls.ID, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, server := end(), end()
	out, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var err error
		b, err = server.SecureInbound(ctx, in, client.self)
		done <- err
	}()
	raw = &counted{Conn: out}
	a, err = client.SecureOutbound(ctx, raw, server.self)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a, b, raw
}

// Whatever is written comes out at the other end, each message by one write.
func TestRecordsGoTogether(t *testing.T) {
	a, b, raw := securedPair(t)
	dice := mrand.New(mrand.NewPCG(1, 2))
	before := raw.writes.Load()
	for i := range 200 {
		n := 1 + dice.IntN(64<<10)
		if i%10 == 0 {
			n = 64 << 10
		}
		if i%50 == 0 {
			n = 1 << 20 // more than is gathered
			before += 1<<20/(recordsOut-17<<10) + 1
		}
		before++
		out, in := make([]byte, n), make([]byte, n)
		_, _ = rand.Read(out)
		done := make(chan error, 1)
		go func() {
			for rest := out; len(rest) > 0; {
				wrote, err := a.Write(rest)
				if err != nil || wrote != len(rest) {
					done <- errors.Join(err, errors.New("written in part"))
					return
				}
				rest = rest[wrote:]
			}
			done <- nil
		}()
		if _, err := io.ReadFull(b, in); err != nil || !bytes.Equal(in, out) {
			t.Fatal("something else came", err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write(in[:n/2+1]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(a, out[:n/2+1]); err != nil || !bytes.Equal(in[:n/2+1], out[:n/2+1]) {
			t.Fatal("something else came back", err)
		}
	}
	if n := raw.writes.Load(); n > before {
		t.Errorf("%d writes for %d", n, before)
	}
}

// A write of which some may be lost breaks the connection for good.
func TestRecordsAfterAFailure(t *testing.T) {
	a, _, raw := securedPair(t)
	raw.broken.Store(true)
	for range 2 {
		if _, err := a.Write(make([]byte, 100)); !errors.Is(err, errBroken) {
			t.Error(err)
		}
		raw.broken.Store(false)
	}
}

// Close does not wait for an end that takes nothing.
func TestCloseOfARecordStuck(t *testing.T) {
	a, _, _ := securedPair(t)
	stuck := make(chan error, 1)
	go func() {
		for {
			if _, err := a.Write(make([]byte, 1<<20)); err != nil {
				stuck <- err
				return
			}
		}
	}()
	select {
	case err := <-stuck:
		t.Fatal(err)
	case <-time.After(300 * time.Millisecond):
	}
	_ = a.Close()
	select {
	case <-stuck:
	case <-time.After(2 * time.Second): // TLS gives a farewell five
		t.Error("Close waits")
	}
}
