package guest

import (
	"context"
	"time"
)

const (
	lookEvery   = 5 * time.Second  // at the machine, while somebody asks
	lookMetered = 30 * time.Second // at the network: asking the system for it takes more
)

// look asks the system. Only one is under way at a time.
func (g *Guest) look(ctx context.Context, was Conditions) Conditions {
	p := g.power(ctx)
	c := Conditions{OnBattery: p.battery, Level: p.level, Metered: was.Metered}
	if g.cfg.Root != nil && !g.cfg.NoPressure {
		c.Pressure = readPressure(g.cfg.Root, was.Pressure)
	}
	if g.asked.IsZero() || time.Since(g.asked) >= lookMetered {
		if c.Metered = g.meter.look(ctx); ctx.Err() == nil {
			g.asked = time.Now()
		}
	}
	return c
}

// Fresh is Conditions no older than a few seconds; it may wait for the system a moment.
func (g *Guest) Fresh(ctx context.Context) Conditions {
	select {
	case g.looking <- struct{}{}:
		g.lookNow(ctx)
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

// lookNow looks, unless somebody just did, and gives the token back.
func (g *Guest) lookNow(ctx context.Context) {
	defer func() { <-g.looking }()
	g.mu.Lock()
	was, stale := g.now, g.staleLocked()
	g.mu.Unlock()
	if !stale {
		return
	}
	c := g.cfg.Look(ctx, was)
	if ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now, g.looked = c, time.Now()
	if c != was {
		g.log.Debug("the machine has changed", "on_battery", c.OnBattery, "level", c.Level, "metered", c.Metered, "pressure", c.Pressure)
		close(g.changed)
		g.changed = make(chan struct{})
	}
}

// Changed is closed when somebody sees that the machine or its network is another than at the last look.
func (g *Guest) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

func (g *Guest) staleLocked() bool { return g.looked.IsZero() || time.Since(g.looked) >= lookEvery }

// refreshLocked has somebody look if nobody has for a while. Until then the last look counts: who asks holds
// locks.
func (g *Guest) refreshLocked() {
	if !g.staleLocked() || g.closed {
		return
	}
	select {
	case g.looking <- struct{}{}:
		g.wg.Go(func() { g.lookNow(g.ctx) })
	default:
	}
}

// conditionsLocked are those of the last look, and make another follow.
func (g *Guest) conditionsLocked() Conditions {
	g.refreshLocked()
	return g.now
}
