package daemon

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/guest"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/placement"
)

// firstLook is how long the start waits to know what the machine is like.
const firstLook = time.Second

// openGuest begins to mind what this machine and its networks are like.
func (p *parts) openGuest(ctx context.Context, s config.Start) {
	var root fs.FS
	if runtime.GOOS == "linux" {
		root = os.DirFS("/")
	}
	battery := guest.DefaultBattery
	if s.Background.Battery != nil {
		battery = *s.Background.Battery
	}
	p.guest = guest.New(guest.Config{Root: root, Battery: battery, Metered: s.Background.Metered, Interfaces: s.Background.Interfaces,
		NoPressure: s.Background.NoPressure, Limits: guest.Limits(s.Limits), Log: p.log})
	p.onClose(func(context.Context) error { p.guest.Close(); return nil })
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	p.guest.Fresh(ctx) // what was pinned and is not here yet is tried soon
}

// resume has what was held tried again as soon as somebody has seen that it may be.
func (p *parts) resume(ctx context.Context) {
	for {
		changed := p.guest.Changed()
		select {
		case <-ctx.Done():
			return
		case <-changed:
			p.placement.Resume()
		}
	}
}

// sending is the guest for the exchange, which knows devices and not the ways to them.
type sending struct{ p *parts }

func (s sending) Way(dev ident.DeviceID) (way fetch.Path, limited bool) {
	if s.p.guest.Limits() == (guest.Limits{}) {
		return fetch.Unknown, false
	}
	for _, peer := range s.p.host.Peers() {
		if peer.Device == dev {
			return fetch.PathNamed(peer.Path), true
		}
	}
	return fetch.Unknown, true
}

func (s sending) Grant(way fetch.Path, urgent bool, n int) (granted int, wait time.Duration) {
	return s.p.guest.Grant(way, urgent, n)
}

// held says why nothing of an urgency is fetched until this machine or its network is another; "" while
// there is a way, or there may soon be one.
func (p *parts) held(u placement.Urgency) (why string) {
	need := func(path fetch.Path) fetch.Need {
		return fetch.Need{Priority: priority(u), Awaited: u == placement.Awaited, Path: path}
	}
	if why = p.guest.Why(need(fetch.Loopback)); why != "" {
		return why
	}
	for _, peer := range p.host.Peers() {
		if !peer.Connected {
			continue
		}
		w := p.guest.Why(need(fetch.PathNamed(peer.Path)))
		if w == "" {
			return ""
		}
		why = w
	}
	return why
}

// yields is what waits in the background and does not show elsewhere.
type yields struct {
	mu       sync.Mutex
	scrubbed string // why the scrub waits
}

func (y *yields) scrub(why string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.scrubbed = why
}

func (y *yields) scrubWaits() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.scrubbed
}

// pinsWait says why pins wait: all of them, or those that could only be fetched over the internet.
func (p *parts) pinsWait() string {
	return cmp.Or(p.held(placement.ForPin), p.guest.Why(fetch.Need{Priority: fetch.Pin, Path: fetch.Direct}))
}

// pinWaits says of a file that is not all here that its pin waits, and what a person can do.
func (p *parts) pinWaits(ctx context.Context, id namespace.NodeID) (reason string, hints []string) {
	p.guest.Fresh(ctx)
	if why := p.pinsWait(); why != "" && p.placement.Waits(id) {
		return "; it is pinned, and that waits: " + why, []string{"to fetch it now all the same: shelf pin"}
	}
	return "", nil
}

// backgroundNow tells what the machine is like and what waits for it to be another.
func (d *daemon) backgroundNow(ctx context.Context) controlapi.Background {
	c := d.guest.Fresh(ctx)
	b := controlapi.Background{OnBattery: c.OnBattery, Metered: c.Metered, Pressure: c.Pressure, Waits: []controlapi.Waiting{}}
	if c.Level >= 0 {
		b.Battery = &c.Level
	}
	held, working := d.placement.Work()
	if why := d.pinsWait(); held > 0 && why != "" {
		b.Waits = append(b.Waits, controlapi.Waiting{What: controlapi.WaitPins, Files: int64(held), Reason: why})
	}
	if why := d.guest.Slow(); working > 0 && why != "" {
		b.Waits = append(b.Waits, controlapi.Waiting{What: controlapi.WaitFetching, Files: int64(working), Reason: why})
	}
	if why := d.yields.scrubWaits(); why != "" {
		b.Waits = append(b.Waits, controlapi.Waiting{What: controlapi.WaitVerifying, Reason: why})
	}
	return b
}

// Limits implements control.Limiter.
func (d *daemon) Limits(context.Context) (controlapi.Limits, error) {
	return controlapi.Limits(d.guest.Limits()), nil
}

// SetLimits implements control.Limiter.
func (d *daemon) SetLimits(_ context.Context, l controlapi.Limits) (controlapi.Limits, error) {
	check := config.Limits(l)
	for _, name := range config.LimitNames {
		if n := *check.Named(name); n != 0 && n < config.MinRate {
			return l, errs.E("daemon.SetLimits", errs.Invalid, name, errors.New("at least "+config.FormatSize(config.MinRate)+"/s are needed"))
		}
	}
	d.guest.SetLimits(guest.Limits(l))
	return l, nil
}
