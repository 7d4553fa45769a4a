// Package guest makes Shelf a good guest of the machine and the networks that it is on: it knows whether the
// machine runs on its battery, whether the way to the internet is metered and whether the disk, the memory or
// the processors are short, says what work in the background may do then, and holds the traffic of blocks to
// the limits that the owner set.
//
// It looks at the machine only when somebody asks whether he may work, and then no more than every few seconds:
// while nothing is to be done, it does nothing. What a person waits for never waits for any of it, but for the
// limits: those hold for everything.
package guest

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/shelffs/shelf/fetch"
)

const (
	lookEvery   = 5 * time.Second  // at the machine, while somebody asks
	lookMetered = 30 * time.Second // at the network: asking the system for it takes more

	dutyPeriod = 4 * time.Second // under pressure, what nobody waits for
	dutyWork   = time.Second     // is asked for in so much of it,
	dutySafety = 3 * time.Second // and second copies of what one device alone has in so much

	scrubRest = time.Minute // between two steps under pressure
)

// DefaultBattery is the level, in per cent, at which pins begin to wait on battery.
const DefaultBattery = 30

// Config makes a Guest.
type Config struct {
	Root       fs.FS    // the system's root, from which sys and proc are read; nil: nothing is known of the machine
	Battery    int      // on battery, pins wait at this level, per cent, and below; 0: never, 100: always
	Metered    string   // MeteredAuto, MeteredYes, MeteredNo; "" as MeteredAuto
	Interfaces []string // with MeteredAuto: patterns of those over which every byte costs, as "wwan*"
	NoPressure bool     // whatever the machine is short of, nothing slows down
	Limits     Limits
	Log        *slog.Logger // optional

	// Look replaces the look at the system, for tests; was is what the last one saw.
	Look func(ctx context.Context, was Conditions) Conditions
}

// Conditions are what the machine and its network are like. The zero value is the best of them, but for Level.
type Conditions struct {
	OnBattery bool
	Level     int // of the battery, per cent; -1: there is none, or it does not say
	Metered   bool
	Pressure  string // what is short: "", disk, memory or processor
}

// Guest is safe for concurrent use. Its methods answer from memory, but for Fresh and Yield.
type Guest struct {
	cfg   Config
	meter meter
	log   *slog.Logger
	begun time.Time
	ctx   context.Context // ends at Close
	stop  context.CancelFunc
	wg    sync.WaitGroup

	looking chan struct{} // capacity 1: whoever put a token into it looks

	mu      sync.Mutex
	now     Conditions
	looked  time.Time     // when that was seen
	asked   time.Time     // when the network was last looked at; of the looking one alone
	changed chan struct{} // closed and replaced when now is another
	limits  limits
	closed  bool
}

// New returns a Guest. Close it.
func New(cfg Config) *Guest {
	g := &Guest{cfg: cfg, log: cfg.Log, begun: time.Now(), looking: make(chan struct{}, 1), changed: make(chan struct{}),
		meter: meter{cfg.Metered, cfg.Interfaces, routeToInternet, systemMetered}, now: Conditions{Level: -1}}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.cfg.Look == nil {
		g.cfg.Look = g.look
	}
	g.now.Metered = cfg.Metered == MeteredYes
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.limits.set(cfg.Limits)
	return g
}

// Close ends a look that is under way.
func (g *Guest) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.stop()
	g.wg.Wait()
}

// look asks the system. Only one is under way at a time.
func (g *Guest) look(ctx context.Context, was Conditions) Conditions {
	c := Conditions{Level: -1, Metered: was.Metered}
	if g.cfg.Root != nil {
		p := readPower(g.cfg.Root)
		c.OnBattery, c.Level = p.battery, p.level
		if !g.cfg.NoPressure {
			c.Pressure = readPressure(g.cfg.Root, was.Pressure)
		}
	}
	if g.asked.IsZero() || time.Since(g.asked) >= lookMetered {
		c.Metered, g.asked = g.meter.look(ctx), time.Now()
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

// Count implements fetch.Pacer.
func (g *Guest) Count(n fetch.Need, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.count(down, n.Path, g.now.Metered, n.Priority <= fetch.ReadAhead, bytes)
}

// Grant takes up to n bytes that are to be sent over a path, or, when none may be, says how long to wait.
func (g *Guest) Grant(path fetch.Path, urgent bool, n int) (granted int, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	metered := g.conditionsLocked().Metered
	if wait = g.limits.wait(up, path, metered, urgent); wait > 0 {
		return 0, wait
	}
	n = g.limits.portion(up, path, metered, n)
	g.limits.count(up, path, metered, urgent, int64(n))
	return n, 0
}

// Limits are those in force.
func (g *Guest) Limits() Limits {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.now
}

// SetLimits puts others in force.
func (g *Guest) SetLimits(l Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits.set(l)
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
