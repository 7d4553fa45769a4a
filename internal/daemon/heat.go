package daemon

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/heat"
	"github.com/shelffs/shelf/internal/hydration"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// warm is what knows of use, and keeps what is used here. All of it is nil where the owner has switched it off.
type warm struct {
	meter  *heat.Meter
	engine *heat.Engine
	uses   *hydration.Uses
	near   *fetch.Fetcher // knows only the devices of this network: what it fetches can come from nowhere else
	budget int64
}

// openHeat begins to count uses and to bring what is used.
func (p *parts) openHeat(s config.Start) (err error) {
	if s.Heat <= 0 {
		return nil
	}
	w := &p.warm
	w.budget = s.Heat
	if w.meter, err = heat.Open(p.meta, time.Now, p.log); err != nil {
		return err
	}
	p.onClose(func(context.Context) error { return w.meter.Close() })
	w.near = fetch.New(fetch.Config{
		Cache: p.cache, Locator: nearby{p.locator}, Pacer: p.guest, Log: p.log, Report: p.corrupt.lied, Name: p.account.Name, Present: p.cache.Expect,
		Limits: fetch.Limits{InFlightBytes: nearFlight, PerSource: nearFlight},
	})
	p.onClose(func(context.Context) error { return w.near.Close() })
	w.engine = heat.New(heat.Config{Self: p.self(), Meter: w.meter, Names: p.names, Network: p.host, Sealer: p.sealer, Device: warming{p}, Log: p.log})
	p.background(func(ctx context.Context) {
		events, stop := p.host.Subscribe()
		defer stop()
		changes := p.names.Watch()
		defer changes.Close()
		w.engine.Run(ctx, changes, events)
	})
	w.uses = p.gate.Uses(w.meter.Use)
	p.onClose(func(context.Context) error { w.uses.Close(); return nil })
	return nil
}

// nearFlight bounds what hand-off has under way, beside what people wait for.
const nearFlight = 8 << 20

// nearby is a Locator of the devices on this network.
type nearby struct{ *locator }

func (n nearby) Devices() []fetch.Candidate {
	return slices.DeleteFunc(n.locator.Devices(), func(c fetch.Candidate) bool { return !c.Connected || c.Path > fetch.LAN })
}

// warming is this device as package heat needs it.
type warming struct{ p *parts }

func (w warming) Near() (out []ident.DeviceID) {
	for _, c := range (nearby{w.p.locator}).Devices() {
		out = append(out, c.Source.Device())
	}
	return out
}

func (w warming) Missing(ctx context.Context, c blocks.Content) int64 {
	plain, complete, _ := w.p.local(ctx, c)
	if complete {
		return 0
	}
	return max(1, int64(c.Size)-plain)
}

// Bring fetches a content as cache.
func (w warming) Bring(ctx context.Context, c blocks.Content, why heat.Reason) (n int64, err error) {
	group := w.p.fetcher.Group()
	if why == heat.UsedElsewhere {
		group = w.p.warm.near.Group()
	}
	var all, missing []digest
	for b, err := range content.Digests(ctx, at{group, fetch.Background}, w.p.sealer, c) {
		if err != nil {
			return 0, err
		}
		if b.IsZero() {
			continue
		}
		if all = append(all, b); !w.p.cache.Expect(b) { // what is here should not go for what comes
			missing = append(missing, b)
		}
	}
	var first error
	err = group.FetchAll(ctx, fetch.Background, slices.Values(missing), func(b digest, err error) {
		first = cmp.Or(first, err)
		if size, serr := w.p.cache.Size(b); err == nil && serr == nil {
			n += int64(size)
		}
	})
	if err = cmp.Or(err, first); err == nil {
		err = w.p.allHere("daemon.Bring", all)
	}
	return n, err
}

func (w warming) Brought(id namespace.NodeID, why heat.Reason, bytes int64) {
	w.p.gate.Ledger().Brought(reasons[why], id, bytes)
}

// reasons are the names under which the ledger has what no program brought.
var reasons = map[heat.Reason]string{heat.UsedHere: "shelf heat", heat.UsedElsewhere: "shelf hand-off"}

// minFree is what the disk must have beyond the cache's own floor for anything to be brought before it is
// asked for.
const minFree = 1 << 30

func (w warming) Room() int64 {
	s := w.p.cache.Stats()
	if w.p.cache.DiskRoom(cache.Fetched)-s.Fetched-s.Past < minFree {
		return 0
	}
	return max(0, min(w.p.warm.budget, s.Limit-s.Limit/4-s.Pinned-s.Staged)) // a quarter is for what is read
}

// unwarm forgets the heat of a file that a person wants here no more.
func (p *parts) unwarm(id namespace.NodeID) {
	if p.warm.meter != nil {
		p.warm.meter.Free(id)
	}
}
