package exchange

import (
	"bufio"
	"context"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

const (
	maxServed    = 16 // streams of one device
	workers      = 2  // of one stream: one reads the store while the other writes
	loadTimeout  = 30 * time.Second
	writeTimeout = 30 * time.Second // for one piece: slower than 2 KiB/s is dropped
)

// serve answers one stream until it ends.
func (x *Exchange) serve(dev ident.DeviceID, s Stream) {
	if !x.enlist(s) {
		_ = s.Reset()
		return
	}
	defer x.discharge(s)
	r := x.remote(dev)
	if r.serving.Add(1) > maxServed || !x.allowed(dev) {
		r.serving.Add(-1)
		_ = s.Reset()
		return
	}
	defer r.serving.Add(-1)
	ctx, cancel := context.WithCancel(x.ctx)
	defer cancel()
	v := &service{x: x, r: r, s: s, ctx: ctx, cancel: cancel, turn: make(chan struct{}, 1), byID: map[uint32]*job{}, settled: make(chan struct{})}
	v.level.Store(-1)
	err := v.readLoop()
	v.end()
	if errs.Is(err, errs.Protocol) {
		x.log.Warn("exchange: a device broke the protocol", "device", dev.Short(), "err", err)
	}
	_ = s.Reset()
}

// readLoop takes questions until the stream ends or breaks the rules.
func (v *service) readLoop() error {
	br := bufio.NewReaderSize(v.s, 4<<10)
	for {
		body, err := wire.ReadFrame(br, maxQuestion)
		if err != nil {
			return err
		}
		q, err := parseQuestion(body)
		if err != nil {
			return err
		}
		if err := v.take(q); err != nil {
			return err
		}
	}
}

func (x *Exchange) allowed(dev ident.DeviceID) bool { return x.cfg.Allow == nil || x.cfg.Allow(dev) }

// enlist notes a stream that is being served, with its goroutine; false when closed.
func (x *Exchange) enlist(s Stream) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return false
	}
	x.wg.Add(1)
	x.served[s] = struct{}{}
	return true
}

func (x *Exchange) discharge(s Stream) {
	x.mu.Lock()
	delete(x.served, s)
	x.mu.Unlock()
	x.wg.Done()
}
