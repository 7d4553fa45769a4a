package p2p

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// Open opens a stream to a device of the Directory over the connection there is, or dials (unless
// wire.WithoutDial forbids it).
// Offline when it cannot be reached, Refused when it is not (or no longer) one of us, Unsupported when it
// does not speak the protocol. Closing or breaking the stream is up to the caller.
func (h *Host) Open(ctx context.Context, dev ident.DeviceID, protocolID string) (wire.Stream, error) {
	const op = "p2p.Open"
	h.mu.Lock()
	l, closed := h.links[dev], h.closed
	h.mu.Unlock()
	switch {
	case closed:
		return nil, errs.E(op, errs.Closed, "", nil)
	case l == nil || !h.gate.allowed(l.id):
		return nil, errs.E(op, errs.Refused, dev.Short(), nil)
	}
	if !l.connected() && wire.Dials(ctx) {
		select {
		case <-l.now():
		case <-ctx.Done():
			return nil, errs.E(op, errs.Other, dev.Short(), ctx.Err())
		case <-l.ctx.Done():
		}
	}
	if !l.connected() {
		return nil, errs.E(op, errs.Offline, dev.Short(), nil)
	}
	s, err := h.host.NewStream(network.WithNoDial(ctx, "kept by its link"), l.id, protocol.ID(protocolID))
	if err != nil {
		return nil, openError(ctx, op, dev.Short(), err)
	}
	return s, nil
}

// openError gives an error of libp2p a kind.
func openError(ctx context.Context, op, subject string, err error) error {
	var unsupported multistream.ErrNotSupported[protocol.ID]
	switch {
	case ctx.Err() != nil:
		return errs.E(op, errs.Other, subject, ctx.Err())
	case errors.As(err, &unsupported):
		return errs.E(op, errs.Unsupported, subject, err)
	case errors.Is(err, swarm.ErrGaterDisallowedConnection):
		return errs.E(op, errs.Refused, subject, err)
	case errors.Is(err, network.ErrResourceLimitExceeded):
		return errs.E(op, errs.Exhausted, subject, err)
	}
	return errs.E(op, errs.Offline, subject, err)
}

// Handle calls fn in a goroutine of its own for each stream of that protocol from a device of the Directory.
func (h *Host) Handle(protocolID string, fn func(dev ident.DeviceID, s wire.Stream)) {
	h.host.SetStreamHandler(protocol.ID(protocolID), func(s network.Stream) {
		dev, ok := h.deviceOf(s)
		if !ok {
			_ = s.Reset()
			return
		}
		fn(dev, s)
	})
}

// deviceOf names the device at the other end; false when it is not (or no longer) one of us. A guest who has
// just been admitted may be faster than Refresh, so the Directory has the last word.
func (h *Host) deviceOf(s network.Stream) (ident.DeviceID, bool) {
	id := s.Conn().RemotePeer()
	key, ok := transportKey(id)
	if !ok || !h.cfg.Directory.Allowed(key) {
		return ident.DeviceID{}, false
	}
	h.mu.Lock()
	l := h.ids[id]
	h.mu.Unlock()
	if l != nil {
		return l.dev, true
	}
	for _, p := range h.cfg.Directory.Peers() {
		if p.Transport == key {
			return p.Device, true
		}
	}
	return ident.DeviceID{}, false
}
