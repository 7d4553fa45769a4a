package guest

import (
	"context"
	"fmt"
	"time"

	"github.com/shelffs/shelf/fetch"
)

const (
	dutyPeriod = 4 * time.Second // under pressure, what nobody waits for
	dutyWork   = time.Second     // is asked for in so much of it,
	dutySafety = 3 * time.Second // and second copies of what one device alone has in so much

	scrubRest = time.Minute // between two steps under pressure
)

// DefaultBattery is the level, in per cent, at which pins begin to wait on battery.
const DefaultBattery = 30

// Why says in a few words why a block waits until the machine or its network is another; "" when it does not.
// A second copy of what one device alone has is worth more than a little of the battery, and than what its bytes cost.
func (g *Guest) Why(n fetch.Need) string {
	if n.Priority <= fetch.ReadAhead || n.Priority == fetch.Safety || n.Awaited {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch c := g.conditionsLocked(); {
	case c.low(g.cfg.Battery):
		return c.onBattery()
	case c.Metered && overInternet(n.Path):
		return "on a metered connection"
	}
	return ""
}

// low reports whether the battery is in use and at a level or below. One that does not say is low at 100 only.
func (c Conditions) low(level int) bool {
	return c.OnBattery && level > 0 && (level >= 100 || c.Level >= 0 && c.Level <= level)
}

func (c Conditions) onBattery() string {
	if c.Level < 0 {
		return "on battery"
	}
	return fmt.Sprintf("on battery at %d %%", c.Level)
}

// Slow says in a few words why what nobody waits for is slow; "" when it is not.
func (g *Guest) Slow() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.conditionsLocked(); c.Pressure != "" {
		return "the " + c.Pressure + " is busy"
	}
	return ""
}

// Held implements fetch.Pacer.
func (g *Guest) Held(n fetch.Need) bool { return g.Why(n) != "" }

// Rest implements fetch.Pacer.
func (g *Guest) Rest(n fetch.Need) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.conditionsLocked()
	wait := g.limits.wait(down, n.Path, c.Metered, n.Priority <= fetch.ReadAhead)
	if c.Pressure != "" && n.Priority > fetch.ReadAhead && !n.Awaited {
		wait = max(wait, g.duty(n.Priority))
	}
	return wait
}

// duty is the rest of the part of a period in which nothing is asked for under pressure.
func (g *Guest) duty(p fetch.Priority) time.Duration {
	work, phase := dutyWork, time.Since(g.begun)%dutyPeriod
	if p == fetch.Safety {
		work = dutySafety
	}
	if phase < work {
		return 0
	}
	return dutyPeriod - phase
}

// YieldScrub returns when the next step of verifying what lies here may be done: never on battery, and once in
// a minute under pressure. waits hears why it waits, before it does, and "" after. It returns early when ctx ends.
func (g *Guest) YieldScrub(ctx context.Context, waits func(why string)) {
	defer waits("")
	for pressed := false; ctx.Err() == nil; {
		c := g.Fresh(ctx)
		changed := g.Changed()
		switch {
		case c.OnBattery:
			waits(c.onBattery())
		case c.Pressure != "" && !pressed:
			waits("the " + c.Pressure + " is busy")
			pressed = true
		default:
			return
		}
		t := time.NewTimer(scrubRest)
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}
