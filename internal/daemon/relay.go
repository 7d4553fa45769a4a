package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/wire"
)

// firstAnswer is how long the answer of a relay is waited for that was just named.
const firstAnswer = 12 * time.Second

func (p *parts) relaysKey() kv.Key { return p.meta.Key(tableRelays) }

// openRelays has the host wait at the relays of last time.
func (p *parts) openRelays() error {
	var texts []string
	v, err := p.meta.Get(p.relaysKey())
	if errs.Is(err, errs.NotExist) {
		return nil
	}
	if err == nil {
		err = wire.Unmarshal(v, &texts)
	}
	if err != nil {
		return err
	}
	var addrs []p2p.RelayAddr
	for _, t := range texts {
		if a, err := p2p.ParseRelayAddr(t); err == nil {
			addrs = append(addrs, a)
		}
	}
	return p.host.SetRelays(addrs)
}

// relays are those that this device uses.
func (p *parts) relays() (out []p2p.RelayAddr) {
	for _, r := range p.host.Relays() {
		out = append(out, r.Addr)
	}
	return out
}

func relayTexts(addrs []p2p.RelayAddr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}

// ways are the addresses of this device as others are told them: its relays, then its own.
func (p *parts) ways() []string { return append(relayTexts(p.relays()), p.host.Addrs()...) }

// changeRelays has change replace the relays: in the store, for the connected devices (who may be reached
// through one that is left), then at the host.
func (p *parts) changeRelays(ctx context.Context, change func([]p2p.RelayAddr) ([]p2p.RelayAddr, error)) error {
	p.relaying.Lock()
	defer p.relaying.Unlock()
	addrs, err := change(p.relays())
	if err != nil {
		return err
	}
	texts := relayTexts(addrs)
	if err := put(p.meta, p.relaysKey(), wire.Marshal(texts)); err != nil {
		return err
	}
	if err := p.meta.Sync(); err != nil {
		return err
	}
	for _, peer := range p.host.Peers() {
		if peer.Connected {
			p.sendAddresses(ctx, peer.Device, append(texts, p.host.Addrs()...))
		}
	}
	return p.host.SetRelays(addrs)
}

// Relays implements control.Relayer.
func (d *daemon) Relays(context.Context) ([]controlapi.Relay, error) {
	out := []controlapi.Relay{}
	for _, r := range d.host.Relays() {
		out = append(out, relayOf(r))
	}
	return out, nil
}

func relayOf(r p2p.RelayState) controlapi.Relay {
	one := controlapi.Relay{Place: r.Addr.Place(), ID: r.Addr.ID(), Waiting: r.Waiting}
	if r.Err != nil && !r.Waiting {
		one.Reason = controlapi.Describe(r.Err)
	}
	return one
}

// UseRelay implements control.Relayer.
func (d *daemon) UseRelay(ctx context.Context, q controlapi.UseRelayRequest) (controlapi.Relay, error) {
	a, err := p2p.ParseRelayAddr(q.Address)
	if err != nil {
		return controlapi.Relay{}, err
	}
	err = d.changeRelays(ctx, func(addrs []p2p.RelayAddr) ([]p2p.RelayAddr, error) {
		addrs = slices.DeleteFunc(addrs, func(o p2p.RelayAddr) bool { return o.ID() == a.ID() }) // it has moved, or has another secret
		if len(addrs) == p2p.MaxRelays {
			return nil, controlapi.E("exhausted", "leave one of them: shelf relay leave "+addrs[0].Place(), "this device uses %d relays, which is the most", p2p.MaxRelays)
		}
		return append(addrs, a), nil
	})
	if err != nil {
		return controlapi.Relay{}, err
	}
	return d.firstAnswer(ctx, a)
}

// firstAnswer waits until this device has its place at a relay, or an attempt has failed.
func (d *daemon) firstAnswer(ctx context.Context, a p2p.RelayAddr) (controlapi.Relay, error) {
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		all := d.host.Relays()
		i := slices.IndexFunc(all, func(r p2p.RelayState) bool { return r.Addr == a })
		if i < 0 {
			return controlapi.Relay{}, errs.E("daemon.UseRelay", errs.Stale, "the relay", errors.New("somebody left it meanwhile"))
		}
		switch r := all[i]; {
		case r.Waiting:
			return relayOf(r), nil
		case r.Err != nil:
			return relayOf(r), controlapi.WithHint(r.Err, "it is kept, and tried again and again; to leave it: shelf relay leave "+a.Place())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return controlapi.Relay{}, errs.E("daemon.UseRelay", errs.Timeout, "the relay "+a.Place(), ctx.Err())
		}
	}
}

// LeaveRelay implements control.Relayer.
func (d *daemon) LeaveRelay(ctx context.Context, q controlapi.LeaveRelayRequest) error {
	return d.changeRelays(ctx, func(addrs []p2p.RelayAddr) ([]p2p.RelayAddr, error) {
		left := slices.DeleteFunc(slices.Clone(addrs), func(o p2p.RelayAddr) bool {
			return q.Relay == o.Place() || q.Relay == o.ID() || q.Relay == o.String()
		})
		if len(left) == len(addrs) {
			return nil, controlapi.E("not_exist", "see: shelf relay", "this device uses no relay %q", q.Relay)
		}
		return left, nil
	})
}
