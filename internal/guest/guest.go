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
	"io/fs"
	"log/slog"
	"sync"
	"time"
)

// Config makes a Guest.
type Config struct {
	Root       fs.FS    // of Linux: its root, from which sys and proc are read; nil: nothing is read
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

// Guest is safe for concurrent use. Its methods answer from memory, but for Fresh and YieldScrub.
type Guest struct {
	cfg   Config
	meter meter
	power func(context.Context) power
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
		meter: meter{cfg.Metered, cfg.Interfaces, routeToInternet, systemMetered}, now: Conditions{Level: -1},
		power: func(ctx context.Context) power { return systemPower(ctx, cfg.Root) }}
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
