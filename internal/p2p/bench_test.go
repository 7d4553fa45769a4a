package p2p_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// The benchmarks stand beside their limit: bare TLS 1.3 over loopback that sends the same frames.
//
//	go test -run - -bench . ./internal/p2p/

// shelfOf is a store of n blocks in memory.
type shelfOf struct {
	m  map[blocks.Digest]blocks.Sealed
	ds []blocks.Digest
}

func newShelfOf(n, size int) *shelfOf {
	s := &shelfOf{m: map[blocks.Digest]blocks.Sealed{}}
	for range n {
		b := make([]byte, size)
		_, _ = rand.Read(b)
		blk := blocks.New(b)
		s.m[blk.Digest] = blk
		s.ds = append(s.ds, blk.Digest)
	}
	return s
}

func (s *shelfOf) GetBlock(_ context.Context, d blocks.Digest) (blocks.Sealed, error) {
	if b, ok := s.m[d]; ok {
		return b, nil
	}
	return blocks.Sealed{}, errs.E("shelf", errs.NotExist, "", nil)
}

// PutBlock keeps nothing: the benchmarks measure the network.
func (s *shelfOf) PutBlock(context.Context, blocks.Sealed) error { return nil }

// ask brings one block; it is safe for concurrent use.
type ask func(d blocks.Digest) error

// overExchange asks through the exchange over two hosts.
func overExchange(b testing.TB, store *shelfOf, p fetch.Priority) (ask, *exchange.Exchange, ident.DeviceID) {
	client, server := pair(b, tcpOnly)
	meet(b, client, server)
	x := exchange.New(exchange.Config{Network: client, Store: newShelfOf(0, 0)})
	y := exchange.New(exchange.Config{Network: server, Store: store})
	b.Cleanup(func() { _ = x.Close(); _ = y.Close() })
	src := x.Source(server.me.Device)
	return func(d blocks.Digest) error {
		body, err := src.Fetch(context.Background(), fetch.Request{Digest: d, Priority: p})
		if err != nil {
			return err
		}
		return blocks.Sealed{Digest: d, Bytes: body}.Verify()
	}, x, server.me.Device
}

// overFetcher asks through everything but the disk.
func overFetcher(b testing.TB, store *shelfOf, p fetch.Priority) ask {
	_, x, dev := overExchange(b, store, p)
	roster := fetch.NewRoster(x.Source)
	roster.Set([]fetch.Device{{ID: dev, Connected: true, Path: fetch.Loopback, RTT: 300 * time.Microsecond}})
	f := fetch.New(fetch.Config{Cache: newShelfOf(0, 0), Locator: roster})
	b.Cleanup(func() { _ = f.Close() })
	return func(d blocks.Digest) error {
		_, err := f.Get(context.Background(), d, p)
		return err
	}
}

// overTLS is the limit: one TLS connection, 38-byte questions, answers with a 9-byte head, many under way.
func overTLS(b testing.TB, store *shelfOf) ask {
	pub, key, _ := ed25519.GenerateKey(rand.Reader)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, key)
	if err != nil {
		b.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ln.Close() })
	go func() {
		c, err := ln.Accept()
		if err == nil {
			serveTLS(c, store)
		}
	}()
	c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	var write sync.Mutex
	waiting := make(chan chan []byte, 4096)
	go func() {
		for ch := range waiting {
			var head [9]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return
			}
			body := make([]byte, binary.BigEndian.Uint32(head[:])-5)
			if _, err := io.ReadFull(c, body); err != nil {
				return
			}
			ch <- body
		}
	}()
	return func(d blocks.Digest) error {
		ch := make(chan []byte, 1)
		q := make([]byte, 42)
		binary.BigEndian.PutUint32(q, 38)
		copy(q[10:], d[:])
		write.Lock()
		waiting <- ch
		_, err := c.Write(q)
		write.Unlock()
		if err != nil {
			return err
		}
		return blocks.Sealed{Digest: d, Bytes: <-ch}.Verify()
	}
}

func serveTLS(c net.Conn, store *shelfOf) {
	defer func() { _ = c.Close() }()
	var q [42]byte
	for {
		if _, err := io.ReadFull(c, q[:]); err != nil {
			return
		}
		body := store.m[blocks.Digest(q[10:])].Bytes
		var head [9]byte
		binary.BigEndian.PutUint32(head[:], uint32(len(body)+5))
		if _, err := c.Write(append(head[:], body[:1024]...)); err != nil {
			return
		}
		if _, err := c.Write(body[1024:]); err != nil {
			return
		}
	}
}

// BenchmarkFirstBlock is one block of 128 KiB with nothing else going on.
func BenchmarkFirstBlock(b *testing.B) {
	store := newShelfOf(16, 128<<10)
	for name, get := range map[string]func() ask{
		"TLS":      func() ask { return overTLS(b, store) },
		"Exchange": func() ask { a, _, _ := overExchange(b, store, fetch.OnDemand); return a },
		"Fetcher":  func() ask { return overFetcher(b, store, fetch.OnDemand) },
	} {
		b.Run(name, func(b *testing.B) {
			one := get()
			if err := one(store.ds[0]); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				if err := one(store.ds[i%len(store.ds)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStream is blocks of 256 KiB, 32 under way, verified on arrival.
func BenchmarkStream(b *testing.B) {
	store := newShelfOf(256, 256<<10)
	for name, get := range map[string]func() ask{
		"TLS":      func() ask { return overTLS(b, store) },
		"Exchange": func() ask { a, _, _ := overExchange(b, store, fetch.ReadAhead); return a },
		"Fetcher":  func() ask { return overFetcher(b, store, fetch.ReadAhead) },
	} {
		b.Run(name, func(b *testing.B) {
			one := get()
			b.SetBytes(256 << 10)
			b.ReportAllocs()
			next := make(chan int)
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(func() {
					for i := range next {
						if err := one(store.ds[i%len(store.ds)]); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := 0; b.Loop(); i++ {
				next <- i
			}
			close(next)
			wg.Wait()
		})
	}
}
