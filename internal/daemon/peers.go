package daemon

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/ident"
)

// nearestFirst sorts copies of one file in the order in which their devices would be asked for it.
func (p *parts) nearestFirst(copies []controlapi.Copy) {
	whole := map[string]bool{}
	for _, c := range copies {
		whole[c.Device] = c.Complete
	}
	var holders []ident.DeviceID
	for _, peer := range p.host.Peers() {
		if whole[peer.Device.String()] {
			holders = append(holders, peer.Device)
		}
	}
	place := map[string]int{}
	for i, r := range p.fetcher.Ranking(holders...) {
		place[r.Device.String()] = i + 1 // this device, which is not among them, comes first
	}
	slices.SortStableFunc(copies, func(a, b controlapi.Copy) int { return cmp.Compare(place[a.Device], place[b.Device]) })
}

// RankedPeers implements control.Reporter.
func (d *daemon) RankedPeers(context.Context) ([]controlapi.RankedPeer, error) {
	peers := map[string]controlapi.Peer{}
	for _, p := range d.peers() {
		peers[p.ID] = p
	}
	out := []controlapi.RankedPeer{}
	for _, r := range d.fetcher.Ranking() {
		peer, ok := peers[r.Device.String()]
		if !ok {
			continue // it left between the two looks
		}
		p := controlapi.RankedPeer{Peer: peer, Failures: r.Failures,
			Requests: int64(r.Requests), InFlight: r.Bytes, Silent: r.Silent}
		if r.Answers > 0 {
			p.Hits = new(r.Hits)
		}
		if r.Rate > 0 {
			p.Rate = new(int64(r.Rate))
		}
		if r.P95 > 0 {
			p.P95 = new(float64(r.P95) / float64(time.Millisecond))
		}
		out = append(out, p)
	}
	return out, nil
}
