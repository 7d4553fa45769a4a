package daemon

import (
	"slices"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/p2p"
)

// `shelf peers` and `shelf why` name devices in the order in which the fetcher would ask them.
func TestDevicesAreNamedInTheOrderOfAsking(t *testing.T) {
	id := func(b byte) ident.DeviceID { return ident.DeviceID{b} }
	d := mustOpen(t, home(t), &lonely{peers: []p2p.PeerState{
		{Device: id(1)},
		{Device: id(2), Connected: true, Path: "relay", RTT: time.Millisecond},
		{Device: id(3), Connected: true, Path: "lan", RTT: 9 * time.Millisecond},
		{Device: id(4), Connected: true, Path: "lan", RTT: 5 * time.Millisecond},
	}})
	defer d.Close()
	peers, err := d.RankedPeers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, p := range peers {
		order = append(order, p.ID)
	}
	if want := []string{id(4).String(), id(3).String(), id(2).String(), id(1).String()}; !slices.Equal(order, want) {
		t.Errorf("peers %v, want %v", order, want)
	}
	if p := peers[0]; p.Path != "lan" || p.RTT == nil || *p.RTT != 5 || p.Rate != nil || p.P95 != nil || p.Hits != nil {
		t.Errorf("%+v", p)
	}
	// Who has all of a file is asked before one that is a little nearer.
	copies := []controlapi.Copy{{Device: d.self().String(), Self: true}, {Device: id(2).String(), Complete: true},
		{Device: id(4).String()}, {Device: id(3).String(), Complete: true}}
	d.nearestFirst(copies)
	order = nil
	for _, c := range copies {
		order = append(order, c.Device)
	}
	if want := []string{d.self().String(), id(3).String(), id(4).String(), id(2).String()}; !slices.Equal(order, want) {
		t.Errorf("copies %v, want %v", order, want)
	}
}
