package fetch

import (
	"cmp"
	"math"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// book is what the fetcher has learnt about devices and blocks. Guarded by Fetcher.mu.
type book struct {
	pages  map[ident.DeviceID]*page
	read   time.Time // when somebody last waited for a block of any of them
	breath time.Time // until when those near by are asked for nothing that nobody waits for
	size   float64   // smoothed size of a block, bytes
	large  float64   // what hardly any block exceeds, bytes
	banned map[ban]time.Time
}

// ban keeps a device that sent a wrong block from being asked for it again for a while.
type ban struct {
	dev ident.DeviceID
	d   blocks.Digest
}

const (
	banTime    = 10 * time.Minute
	maxBans    = 4096
	usualBlock = 256 << 10
	largeBlock = 1 << 20
	minWindow  = 2                      // blocks asked of one device that nobody waits for
	queueing   = 100 * time.Millisecond // how long a device's answers may queue on the way here
	readerRest = time.Second            // so long after a reader waited, nothing queues that nobody waits for: it would come before his next block

	// While there are readers, a block from near by that nobody waits for is followed by a pause, so many times as long
	// as it took: to bring it is work for the processors, which readers would wait for. Where it takes longer than that
	// is not the processors' doing.
	breather  = 2
	maxBreath = 10 * time.Millisecond

	urgentQueueing = time.Second
)

func newBook() book {
	return book{pages: map[ident.DeviceID]*page{}, size: usualBlock, large: largeBlock, banned: map[ban]time.Time{}}
}

func (b *book) page(dev ident.DeviceID) *page {
	p := b.pages[dev]
	if p == nil {
		p = &page{hit: 0.5, path: Unknown}
		b.pages[dev] = p
	}
	return p
}

// meet takes note of the ways to the devices. What was measured on another kind of way is void.
func (b *book) meet(all []Candidate) {
	for _, c := range all {
		if p := b.page(c.Source.Device()); c.Connected && p.path != c.Path {
			p.path, p.rate, p.waits, p.fails = c.Path, peak{}, spread{}, 0
			p.quiet = quiet{}
		}
	}
}

// likely is how large a group's next block is likely to be.
func (b *book) likely(g *Group) float64 {
	if g.loose {
		return b.size
	}
	return cmp.Or(g.size, b.size)
}

// largest is the memory to be set aside for a block that was asked for.
func (b *book) largest() int64 { return int64(b.large) }

// window is how many bytes may be asked of a device at a priority: what its path carries in a round trip,
// and a little that may queue. More would only lengthen the queue before something more urgent. Urgent blocks
// may queue for longer, for nothing comes before them; but not so long that their readers give up.
func (b *book) window(c Candidate, p Priority, ceiling int64, now time.Time) int64 {
	pg, queue, least := b.page(c.Source.Device()), queueing, int64(minWindow*b.size)
	switch {
	case p.Urgent():
		queue, least, ceiling = urgentQueueing, 2*least, math.MaxInt64
		if pg.rate.value() == 0 {
			return 8 * least
		}
	case p > ReadAhead && now.Sub(pg.read) < readerRest, b.yields(c, p, now):
		queue, least = 0, least/minWindow
	}
	w := max(int64(b.rate(c)*(rtt(c)+queue).Seconds()), least)
	if p == ReadAhead {
		w *= 2
	}
	return min(w, ceiling)
}

// yields reports whether what comes from a device at a priority would take the processors from readers, wherever
// those read from.
func (b *book) yields(c Candidate, p Priority, now time.Time) bool {
	return p > ReadAhead && c.Path <= LAN && now.Sub(b.read) < readerRest
}

// rate is what a device brings, in bytes/s, as measured or else as its path usually does.
func (b *book) rate(c Candidate) float64 {
	if r := b.page(c.Source.Device()).rate.value(); r > 0 {
		return r
	}
	return usual[min(c.Path, Unknown)].rate
}

func rtt(c Candidate) time.Duration { return cmp.Or(c.RTT, usual[min(c.Path, Unknown)].rtt) }

// usual is what a path is like before anything has been measured; rates are in bytes/s.
var usual = [...]struct {
	rate float64
	rtt  time.Duration
}{
	Loopback: {500e6, 100 * time.Microsecond},
	LAN:      {50e6, time.Millisecond},
	Direct:   {5e6, 40 * time.Millisecond},
	Relay:    {1e6, 100 * time.Millisecond},
	Unknown:  {1e6, 100 * time.Millisecond},
}

// cost estimates how long a device takes to bring a block, in seconds, counting the chance that it
// does not have it or fails.
func (b *book) cost(c Candidate, g *Group, p Priority) float64 {
	dev := c.Source.Device()
	pg := b.page(dev)
	queued := b.likely(g)
	if p.Urgent() {
		queued += float64(pg.urgent) // the rest stands back
	} else {
		queued += float64(pg.flying)
	}
	cost := rtt(c).Seconds() + queued/b.rate(c) + float64(c.Path)*1e-3
	if median, ok := pg.waits.quantile(0.5); ok && p.Urgent() {
		cost = (cost + median.Seconds()) / 2
	}
	hit := g.hit(dev, pg.hit)
	return (cost + 1e-3) / max(hit, 0.02) * (1 + 4*pg.lies + 4*pg.fails)
}

// began notes that a request is under way.
func (b *book) began(a *attempt, c Candidate, ceiling int64) {
	p := b.page(a.dev)
	a.path, a.delivered = p.path, p.delivered
	a.busy = 2*p.flying >= b.window(c, Pin, ceiling, a.begun)
	if a.urgent {
		p.read, b.read = a.begun, a.begun
	}
	p.asked(a, +1)
}

// left notes that it is no longer.
func (b *book) left(a *attempt) { b.page(a.dev).asked(a, -1) }

// ended notes that a request brought n bytes. A part says nothing of how large blocks are, or how long they take.
func (b *book) ended(a *attempt, n int, now time.Time) {
	p := b.page(a.dev)
	if !a.part {
		x := float64(n)
		b.size += (x - b.size) / 16
		b.large = max(x, b.large-(b.large-x)/64)
	}
	p.delivered += int64(n)
	p.fails -= p.fails / 8
	took := now.Sub(a.begun)
	if a.path != p.path || took <= 0 {
		return
	}
	if a.urgent && !a.part {
		p.waits.add(took)
	}
	if a.prio > ReadAhead && a.path <= LAN {
		b.breath = now.Add(min(breather*took, maxBreath))
	}
	// What the device delivered while this request was under way, over that time, is the rate of the path
	// (as in BBR) if there was enough to do; else the path is at least that fast.
	if rate := float64(p.delivered-a.delivered) / took.Seconds(); a.busy || rate > p.rate.value() {
		p.rate.add(rate, now)
	}
}

func (b *book) lied(dev ident.DeviceID) { b.page(dev).lies = min(b.page(dev).lies+1, 10) }

func (b *book) ban(dev ident.DeviceID, d blocks.Digest, now time.Time) {
	if len(b.banned) >= maxBans {
		clear(b.banned)
	}
	b.banned[ban{dev, d}] = now.Add(banTime)
}

func (b *book) isBanned(dev ident.DeviceID, d blocks.Digest, now time.Time) bool {
	until, ok := b.banned[ban{dev, d}]
	if ok && now.After(until) {
		delete(b.banned, ban{dev, d})
		return false
	}
	return ok
}
