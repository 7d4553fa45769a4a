//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"time"
)

const blockSize = 256 << 10

// tlsStream sends total bytes in blocks with a length prefix over TLS 1.3, in one process, and returns
// MB/s: what the encrypted transport alone can carry here.
func tlsStream(over carrier, total int) (float64, error) {
	client, server, stop, err := tlsPair(over)
	if err != nil {
		return 0, err
	}
	defer stop()
	go func() {
		frame := make([]byte, 4+blockSize)
		binary.BigEndian.PutUint32(frame, blockSize)
		for sent := 0; sent < total; sent += blockSize {
			if _, err := server.Write(frame); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 4+blockSize)
	return rate(float64(total)/1e6, func() error {
		for got := 0; got < total; got += blockSize {
			if _, err := io.ReadFull(client, buf); err != nil {
				return err
			}
		}
		return nil
	})
}

// tlsRoundTrip asks for so many bytes and waits for them, n times; milliseconds each.
func tlsRoundTrip(over carrier, n, size int) ([]float64, error) {
	client, server, stop, err := tlsPair(over)
	if err != nil {
		return nil, err
	}
	defer stop()
	go func() {
		ask, frame := make([]byte, 40), make([]byte, size)
		for {
			if _, err := io.ReadFull(server, ask); err != nil {
				return
			}
			if _, err := server.Write(frame); err != nil {
				return
			}
		}
	}()
	var ms []float64
	ask, frame := make([]byte, 40), make([]byte, size)
	for range n {
		s, err := seconds(func() error {
			if _, err := client.Write(ask); err != nil {
				return err
			}
			_, err := io.ReadFull(client, frame)
			return err
		})
		if err != nil {
			return nil, err
		}
		ms = append(ms, s*1000)
	}
	return ms, nil
}

func tlsPair(over carrier) (client, server net.Conn, stop func(), err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		return nil, nil, nil, err
	}
	cfg := &tls.Config{
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		InsecureSkipVerify: true, // a measurement of speed on loopback, within one process
		MinVersion:         tls.VersionTLS13,
	}
	plain, err := over.listen()
	if err != nil {
		return nil, nil, nil, err
	}
	l := tls.NewListener(plain, cfg)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.(*tls.Conn).Handshake()
		}
		if err != nil {
			close(accepted)
			return
		}
		accepted <- c
	}()
	raw, err := over.dial(l.Addr().String())
	if err != nil {
		l.Close()
		return nil, nil, nil, err
	}
	c := tls.Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		c.Close()
		l.Close()
		return nil, nil, nil, err
	}
	s, ok := <-accepted
	if !ok {
		c.Close()
		l.Close()
		return nil, nil, nil, io.ErrUnexpectedEOF
	}
	return c, s, func() { c.Close(); s.Close(); l.Close() }, nil
}

// gcmOpen opens blocks with AES-256-GCM on one core, MB/s.
func gcmOpen(total int) (float64, error) {
	gcm, err := newGCM()
	if err != nil {
		return 0, err
	}
	nonce := make([]byte, gcm.NonceSize())
	sealed := gcm.Seal(nil, nonce, make([]byte, blockSize), nil)
	out := make([]byte, 0, blockSize)
	return rate(float64(total)/1e6, func() error {
		for n := 0; n < total; n += blockSize {
			if _, err := gcm.Open(out, nonce, sealed, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// copyRate copies blocks of a region larger than the caches, MB/s.
func copyRate(total int) float64 {
	from, to := make([]byte, 64<<20), make([]byte, 64<<20)
	copy(to, from) // the pages are there
	mb, _ := rate(float64(total)/1e6, func() error {
		for n := 0; n < total; n += len(from) {
			copy(to, from)
		}
		return nil
	})
	return mb
}

// sha256Rate hashes blocks on one core, MB/s.
func sha256Rate(total int) (float64, error) {
	b := make([]byte, blockSize)
	return rate(float64(total)/1e6, func() error {
		for n := 0; n < total; n += blockSize {
			sha256.Sum256(b)
		}
		return nil
	})
}
