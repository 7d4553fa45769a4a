package simnet

import (
	"context"
	"slices"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

type handler func(dev ident.DeviceID, s wire.Stream)

// Host is one device on the network; an exchange.Network.
type Host struct {
	net *Net
	dev ident.DeviceID

	// Guarded by net.mu.
	up       bool
	handlers map[string]handler
	subs     map[*subscription]struct{}
}

// Open opens a stream at once: like libp2p's, its name travels with the first bytes. Offline
// when the way is cut, Unsupported when the other side has no such protocol.
func (h *Host) Open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error) {
	const op = "simnet.Open"
	if err := ctx.Err(); err != nil {
		return nil, errs.E(op, errs.Other, dev.Short(), err)
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.reachableLocked(h.dev, dev) {
		return nil, errs.E(op, errs.Offline, dev.Short(), nil)
	}
	fn := n.hosts[dev].handlers[protocol]
	if fn == nil {
		return nil, errs.E(op, errs.Unsupported, protocol, nil)
	}
	w := n.wayLocked(h.dev, dev)
	there, back := newPipe(n, w, direction(h.dev, dev)), newPipe(n, w, direction(dev, h.dev))
	local := &Stream{net: n, way: w, out: there, in: back}
	remote := &Stream{net: n, way: w, out: back, in: there}
	local.first, remote.first = local, local
	w.streams[local] = struct{}{}
	go fn(h.dev, remote)
	return local, nil
}

// Handle takes the streams of a protocol; nil removes the handler.
func (h *Host) Handle(protocol string, fn func(dev ident.DeviceID, s wire.Stream)) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.handlers[protocol] = fn
}

// Connected lists the devices that can be reached now, in the order of their ids.
func (h *Host) Connected() []ident.DeviceID {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.connectedLocked()
}

func (h *Host) connectedLocked() []ident.DeviceID {
	var out []ident.DeviceID
	for d := range h.net.hosts {
		if h.net.reachableLocked(h.dev, d) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b ident.DeviceID) int { return slices.Compare(a[:], b[:]) })
	return out
}
