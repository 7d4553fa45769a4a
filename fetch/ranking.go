package fetch

import (
	"cmp"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

// Rank is how the fetcher sees one device.
type Rank struct {
	Device    ident.DeviceID
	Connected bool
	Path      Path
	RTT       time.Duration // 0: not measured
	Rate      float64       // bytes/s that it brings; 0: not measured
	Likely    float64       // the same, or what such a path usually brings
	P95       time.Duration // within which 95 % of what somebody waited for came; 0: not measured
	Answers   int           // how often it brought a block, or said that it does not have it
	Hits      float64       // smoothed share of those that brought the block, 0..1
	Failures  float64       // smoothed share of requests that broke off or were not answered, 0..1
	Requests  int           // under way
	Bytes     int64         // of those, estimated
	Silent    bool          // it has stopped answering: others are asked first
}

// Ranking tells of all devices in the order in which they would be asked now for a block that somebody waits
// for and that holders are known to have; those that are not connected last.
func (f *Fetcher) Ranking(holders ...ident.DeviceID) []Rank {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookAroundLocked()
	type ranked struct {
		Rank
		tier  tier
		vague int
		cost  float64
	}
	now, fl := time.Now(), &flight{group: f.Group(holders...)}
	all := make([]ranked, 0, len(f.devices))
	for _, c := range f.devices {
		dev := c.Source.Device()
		p := f.book.page(dev)
		p95, _ := p.waits.quantile(hedgeQuantile)
		r := ranked{tier: none, Rank: Rank{
			Device: dev, Connected: c.Connected, Path: c.Path, RTT: c.RTT, Rate: p.rate.value(), Likely: f.book.rate(c), P95: p95,
			Answers: p.answers, Hits: p.hit, Failures: p.fails, Requests: p.requests, Bytes: p.flying, Silent: p.shy(now),
		}}
		if c.Connected {
			r.tier, r.cost = f.tierLocked(fl, c, now), f.book.cost(c, fl.group, OnDemand)
			if f.vagueLocked(fl, c) {
				r.vague = 1
			}
		}
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.tier, b.tier), cmp.Compare(a.vague, b.vague), cmp.Compare(a.cost, b.cost))
	})
	out := make([]Rank, len(all))
	for i, r := range all {
		out[i] = r.Rank
	}
	return out
}
