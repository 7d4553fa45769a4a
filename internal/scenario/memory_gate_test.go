package scenario

import (
	"context"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/wire"
)

// The gate of p2p, on the network in memory: a device sees, calls and hears only those that it knows, and
// asks a stranger that knows it who he is.

func (h *memoryHost) open(ctx context.Context, dev ident.DeviceID, protocol string) (wire.Stream, error) {
	if !h.account.Member(dev) {
		return nil, errs.E("memory.Open", errs.Refused, dev.Short(), nil)
	}
	return h.Host.Open(ctx, dev, protocol)
}

func (h *memoryHost) Handle(protocol string, fn func(ident.DeviceID, wire.Stream)) {
	h.Host.Handle(protocol, func(dev ident.DeviceID, s wire.Stream) {
		if !h.account.Member(dev) {
			_ = s.Reset()
			return
		}
		fn(dev, s)
	})
}

func (h *memoryHost) Subscribe() (<-chan p2p.Event, func()) {
	in, stop := h.Host.Subscribe()
	out, done := make(chan p2p.Event), make(chan struct{})
	tell := func(e p2p.Event) {
		select {
		case out <- e:
		case <-done:
		}
	}
	go func() {
		defer close(out)
		unknown := map[ident.DeviceID]bool{} // connected
		for {
			changed := h.account.Changed()
			for dev := range unknown {
				if h.account.Member(dev) {
					delete(unknown, dev)
					tell(p2p.Event{Device: dev, Connected: true})
				}
			}
			select {
			case <-changed:
			case e, ok := <-in:
				switch {
				case !ok:
					return
				case h.account.Member(e.Device):
					tell(e)
				case e.Connected:
					unknown[e.Device] = true
				default:
					delete(unknown, e.Device)
				}
			}
		}
	}()
	return out, func() { stop(); close(done) }
}

func (h *memoryHost) HandleStranger(protocol string, _ int, ask func(ident.TransportKey, wire.Stream), answer func(wire.Stream)) {
	h.Handle(protocol, func(_ ident.DeviceID, s wire.Stream) {
		answer(s)
		_ = s.CloseWrite()
	})
	in, stop := h.Host.Subscribe()
	h.ends = append(h.ends, stop)
	go func() {
		for e := range in {
			h.m.mu.Lock()
			who := h.m.hosts[e.Device]
			h.m.mu.Unlock()
			if !e.Connected || who == nil || h.account.Member(e.Device) || !who.account.Member(h.account.Self().ID) {
				continue
			}
			if s, err := h.Host.Open(context.Background(), e.Device, protocol); err == nil {
				ask(who.account.Self().Transport, s)
				_ = s.Reset()
			}
		}
	}()
}
