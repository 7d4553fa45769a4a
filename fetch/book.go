package fetch

import (
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// book is what the fetcher has learnt about devices. Guarded by Fetcher.mu.
type book struct {
	pages  map[ident.DeviceID]*page
	size   float64 // smoothed size of a block, bytes
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
	minWindow  = 2                      // blocks asked of one device that nobody waits for
	queueing   = 100 * time.Millisecond // how long a device's answers may queue on the way here
	rateMemory = 5 * time.Second        // a peak of the rate counts that long
)

func newBook() book {
	return book{pages: map[ident.DeviceID]*page{}, size: usualBlock, banned: map[ban]time.Time{}}
}

// page is one device's.
type page struct {
	flying    int64   // bytes asked for, estimated
	delivered int64   // bytes, ever
	rate      float64 // bytes/s: the peak seen lately
	rateAt    time.Time
	answer    time.Duration // smoothed time to a block that somebody waited for
	hit       float64       // smoothed share of requests that brought the block, 0..1
	lies      float64       // wrong answers, forgotten as right ones come
}

func (b *book) page(dev ident.DeviceID) *page {
	p := b.pages[dev]
	if p == nil {
		p = &page{hit: 0.5}
		b.pages[dev] = p
	}
	return p
}

// window is how many bytes may be asked of a device ahead of need: what its path carries in a round
// trip, and a little that may queue. More would only lengthen the queue before something urgent.
func (b *book) window(c Candidate, ceiling int64) int64 {
	w := int64(b.rate(c) * (c.RTT + queueing).Seconds())
	return min(max(w, int64(minWindow*b.size)), ceiling)
}

// rate is what a device brings, in bytes/s, as measured or else as its path usually does.
func (b *book) rate(c Candidate) float64 {
	if r := b.page(c.Source.Device()).rate; r > 0 {
		return r
	}
	return usual[min(c.Path, Unknown)]
}

// usual is what a path carries before anything has been measured, bytes/s.
var usual = [...]float64{Loopback: 500e6, LAN: 50e6, Direct: 5e6, Relay: 1e6, Unknown: 1e6}

// cost estimates how long a device takes to bring a block, in seconds, counting the chance that it
// does not have it.
func (b *book) cost(c Candidate, g *group, p Priority) float64 {
	dev := c.Source.Device()
	pg := b.page(dev)
	queued := b.size
	if !p.Urgent() {
		queued += float64(pg.flying)
	}
	cost := c.RTT.Seconds() + queued/b.rate(c) + float64(c.Path)*1e-3
	if p.Urgent() && pg.answer > 0 {
		cost = (cost + pg.answer.Seconds()) / 2
	}
	hit := pg.hit
	if g != nil {
		hit = g.hit(dev, hit)
	}
	return (cost + 1e-3) / max(hit, 0.02) * (1 + 4*pg.lies)
}

// began notes that a request is under way.
func (b *book) began(a *attempt) {
	p := b.page(a.dev)
	p.flying += a.est
	a.delivered = p.delivered
}

// ended notes that a request brought a block of n bytes.
func (b *book) ended(a *attempt, n int, now time.Time) {
	p := b.page(a.dev)
	b.size += (float64(n) - b.size) / 16
	p.delivered += int64(n)
	took := now.Sub(a.begun)
	if a.prio <= ReadAhead {
		p.answer = smooth(p.answer, took)
	}
	// What the device delivered while this request was under way, over that time: the rate of the
	// path, if there was enough to do (as in BBR).
	if took > 0 {
		rate := float64(p.delivered-a.delivered) / took.Seconds()
		if rate >= p.rate {
			p.rate, p.rateAt = rate, now
		} else if now.Sub(p.rateAt) > rateMemory {
			p.rate, p.rateAt = (p.rate+rate)/2, now
		}
	}
}

func (p *page) answered(hit bool) {
	p.hit += (share(hit) - p.hit) / 8
	if hit {
		p.lies *= 0.98
	}
}

func share(hit bool) float64 {
	if hit {
		return 1
	}
	return 0
}

func smooth(old, sample time.Duration) time.Duration {
	if old == 0 {
		return sample
	}
	return old + (sample-old)/8
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

// group is what was wanted together and so is likely to be found together. Guarded by Fetcher.mu.
type group struct{ hits map[ident.DeviceID]float64 }

func newGroup() *group { return &group{hits: map[ident.DeviceID]float64{}} }

func (g *group) hit(dev ident.DeviceID, usual float64) float64 {
	if h, ok := g.hits[dev]; ok {
		return h
	}
	return usual
}

func (g *group) answered(dev ident.DeviceID, hit bool) {
	h := g.hit(dev, 0.5)
	g.hits[dev] = h + (share(hit)-h)/3
}
