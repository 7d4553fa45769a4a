package p2p

import (
	"context"
	"crypto/rand"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// pingProtocol echoes 8 bytes, so that each connection is known to be alive and how far it reaches.
const pingProtocol protocol.ID = "/shelf/ping/1"

const (
	pingEvery   = 25 * time.Second
	pingTimeout = 5 * time.Second

	checkTimeout = 4 * time.Second // somebody waits
)

func (h *Host) answerPing(s network.Stream) {
	defer func() { _ = s.Close() }()
	h.awaitAsked(s.Conn().RemotePeer())
	if !h.gate.allowed(s.Conn().RemotePeer()) {
		_ = s.Reset()
		return
	}
	_ = s.SetDeadline(time.Now().Add(pingTimeout))
	var b [8]byte
	if _, err := io.ReadFull(s, b[:]); err == nil {
		_, _ = s.Write(b[:])
	}
}

// ping measures one connection.
func ping(ctx context.Context, c network.Conn, limit time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s, err := openOn(ctx, c, pingProtocol)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Reset() }()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	var out, in [8]byte
	_, _ = rand.Read(out[:])
	start := time.Now()
	if _, err := s.Write(out[:]); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(s, in[:]); err != nil {
		return 0, err
	}
	if in != out {
		return 0, errs.E("p2p.ping", errs.Protocol, "", nil)
	}
	return time.Since(start), nil
}

// pingLoop looks at every connection from time to time.
func (h *Host) pingLoop() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		h.checkAll()
	}
}

// checkAll looks at every connection now.
func (h *Host) checkAll() {
	h.mu.Lock()
	links := slices.Collect(maps.Values(h.links))
	h.mu.Unlock()
	for _, l := range links {
		l.check()
	}
}

// check measures the device's connections now, in a goroutine of its own.
func (l *link) check() {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if !l.h.closed {
		l.h.wg.Go(func() { l.pingAll(pingTimeout) })
	}
}

// Check looks whether a device still answers; connections that do not within checkTimeout are closed,
// which Subscribe tells. It returns at once. While an earlier Check is under way it makes another follow:
// what that one heard may be older than this question.
func (h *Host) Check(dev ident.DeviceID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.links[dev]
	if l == nil || h.closed {
		return
	}
	l.asked = true
	if l.checking {
		return
	}
	l.checking = true
	h.wg.Go(func() {
		for l.toCheck() {
			l.pingAll(checkTimeout)
		}
	})
}

// toCheck tells whether somebody asked since the last check began; the checking ends when nobody did.
func (l *link) toCheck() bool {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	again := l.asked && !l.h.closed
	l.asked, l.checking = false, again
	return again
}

// pingAll measures the device's connections, all at once, and closes those that do not answer.
func (l *link) pingAll(limit time.Duration) {
	var wg sync.WaitGroup
	for _, c := range l.h.host.Network().ConnsToPeer(l.id) {
		wg.Go(func() { l.pingOne(c, limit) })
	}
	wg.Wait()
}

func (l *link) pingOne(c network.Conn, limit time.Duration) {
	rtt, err := ping(l.ctx, c, limit)
	switch {
	case l.ctx.Err() != nil:
	case err != nil:
		l.h.log.Debug("p2p: a connection does not answer", "device", l.dev.Short(), "err", err)
		_ = c.Close()
	default:
		l.mu.Lock()
		if l.rtt == 0 {
			l.rtt = rtt
		}
		l.rtt += (rtt - l.rtt) / 4
		l.lastSeen = time.Now()
		l.mu.Unlock()
		l.welcomed()
	}
}
