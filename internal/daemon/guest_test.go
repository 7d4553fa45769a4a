package daemon

import (
	"context"
	"strings"
	"testing"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/guest"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/p2p"
	"github.com/shelffs/shelf/internal/placement"
)

// On a metered connection pins wait when every device that is connected is behind it, and not otherwise.
func TestHeldByWhoIsConnected(t *testing.T) {
	near := p2p.PeerState{Device: ident.DeviceID{1}, Connected: true, Path: "lan"}
	far := p2p.PeerState{Device: ident.DeviceID{2}, Connected: true, Path: "direct"}
	relayed := p2p.PeerState{Device: ident.DeviceID{3}, Connected: true, Path: "relay"}
	gone := p2p.PeerState{Device: ident.DeviceID{4}}
	net := &lonely{}
	s := home(t)
	s.Background.Metered = "yes"
	d := mustOpen(t, s, net)
	for name, c := range map[string]struct {
		peers []p2p.PeerState
		waits bool
	}{
		"nobody is there":           {nil, false}, // a pin that is tried says that nobody has it
		"nobody is connected":       {[]p2p.PeerState{gone}, false},
		"all are over the internet": {[]p2p.PeerState{far, gone, relayed}, true},
		"one is near":               {[]p2p.PeerState{far, near, relayed}, false},
	} {
		net.peers = c.peers
		why := d.held(placement.ForPin)
		if (why != "") != c.waits || c.waits && why != "on a metered connection" {
			t.Errorf("%s: %q", name, why)
		}
		for _, u := range []placement.Urgency{placement.Awaited, placement.ForSafety} {
			if why := d.held(u); why != "" {
				t.Errorf("%s, urgency %d: %q", name, u, why)
			}
		}
	}
}

// What is sent is held to the limit of the way to the device.
func TestSendingKnowsTheWay(t *testing.T) {
	near, far := ident.DeviceID{1}, ident.DeviceID{2}
	net := &lonely{peers: []p2p.PeerState{{Device: near, Connected: true, Path: "lan"}, {Device: far, Connected: true, Path: "direct"}}}
	s := home(t)
	s.Limits = config.Limits{InternetUp: 1 << 20}
	d := mustOpen(t, s, net)
	grant := func(dev ident.DeviceID) (bytes int) {
		for range 1 << 10 {
			s := sending{d.parts}
			way, limited := s.Way(dev)
			n, wait := s.Grant(way, false, 64<<10)
			if !limited {
				t.Fatal("no limit")
			}
			if bytes += n; wait > 0 {
				break
			}
		}
		return bytes
	}
	if n := grant(near); n != 64<<20 {
		t.Errorf("%d bytes to a device on this network", n)
	}
	for _, dev := range []ident.DeviceID{far, {9}} { // of one that nobody knows, the worst is assumed
		if n := grant(dev); n > 8<<20 {
			t.Errorf("%d bytes at once over the internet", n)
		}
	}
}

func TestLimitsAtRunTime(t *testing.T) {
	s, ctx := home(t), context.Background()
	s.Limits = config.Limits{LANUp: 1e6}
	d := mustOpen(t, s, &lonely{})
	l, err := d.Limits(ctx)
	if err != nil || l != (controlapi.Limits{LANUp: 1e6}) {
		t.Errorf("those of the settings: %+v, %v", l, err)
	}
	l.RelayDown = 2e6
	if got, err := d.SetLimits(ctx, l); err != nil || got != l || d.guest.Limits() != (guest.Limits{LANUp: 1e6, RelayDown: 2e6}) {
		t.Errorf("%+v, %v", d.guest.Limits(), err)
	}
	for _, bad := range []int64{-1, 1, config.MinRate - 1} {
		if _, err := d.SetLimits(ctx, controlapi.Limits{MeteredUp: bad}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "metered_up") {
			t.Errorf("%d: %v", bad, err)
		}
	}
	if d.guest.Limits() != (guest.Limits{LANUp: 1e6, RelayDown: 2e6}) {
		t.Errorf("what was refused is in force: %+v", d.guest.Limits())
	}
}

// The scrub asks before each step, and reads nothing while it must wait.
func TestScrubAsksBeforeEachStep(t *testing.T) {
	d := mustOpen(t, home(t), &lonely{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	clock := &pretend{t: d.began.Add(scrubPeriod)}
	if err := d.cache.BeginRound(d.began.Add(-scrubPeriod)); err != nil {
		t.Fatal(err)
	}
	asked := 0
	s := scrubber{d.cache, clock.now, clock.sleep, func(context.Context) {
		asked++
		cancel() // it waits until the daemon ends
	}}
	before, err := d.cache.Round()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_ = s.once(ctx)
	}
	after, err := d.cache.Round()
	if err != nil || asked == 0 || after != before {
		t.Errorf("asked %d times; the round was %+v and is %+v; %v", asked, before, after, err)
	}
}
