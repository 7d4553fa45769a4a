package daemon

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/cache"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/placement"
)

type digest = blocks.Digest

// at is the fetcher of one group of blocks at one priority.
type at struct {
	g *fetch.Group
	p fetch.Priority
}

func (a at) GetBlock(ctx context.Context, d digest) (blocks.Sealed, error) {
	return a.g.Get(ctx, d, a.p)
}

func priority(u placement.Urgency) fetch.Priority {
	if u == placement.ForPin || u == placement.Awaited {
		return fetch.Pin
	}
	return fetch.Safety
}

// groupFor is a new group of blocks that are wanted so urgently.
func (p *parts) groupFor(u placement.Urgency, holders ...ident.DeviceID) *fetch.Group {
	g := p.fetcher.Group(holders...)
	if u == placement.Awaited {
		g.Awaited()
	}
	return g
}

func (p *parts) digestsFor(ctx context.Context, c blocks.Content, u placement.Urgency, holders ...ident.DeviceID) iter.Seq2[digest, error] {
	if u == placement.Here {
		return content.Digests(ctx, p.cache, p.sealer, c)
	}
	return content.Digests(ctx, at{p.groupFor(u, holders...), priority(u)}, p.sealer, c)
}

// below lists what another device needs below a manifest, as far as it is here. All members can read it themselves.
func (p *parts) below(ctx context.Context, m blocks.Sealed, next blocks.Stretch) iter.Seq[blocks.Sealed] {
	return content.Below(ctx, p.cache, p.sealer, m, next)
}

func (p *parts) fetchFor(ctx context.Context, u placement.Urgency, holders []ident.DeviceID, ds iter.Seq[digest], each func(digest, error)) error {
	return p.groupFor(u, holders...).FetchAll(ctx, priority(u), ds, each)
}

// keeper is the placement engine for the exchange, which is made before it.
type keeper struct {
	e atomic.Pointer[placement.Engine]
}

func (k *keeper) set(e *placement.Engine) { k.e.Store(e) }

func (k *keeper) Classes(ds []digest) []exchange.Class {
	if e := k.e.Load(); e != nil {
		return e.Classes(ds)
	}
	return make([]exchange.Class, len(ds))
}

func (k *keeper) Grant(asker ident.DeviceID, ls []exchange.Leave) [][]bool {
	if e := k.e.Load(); e != nil {
		return e.Grant(asker, ls)
	}
	return nil
}

// locator names all devices of the account; the fetcher ranks them by what it measured.
type locator struct {
	host Network
	x    *exchange.Exchange

	mu      sync.Mutex
	changed chan struct{}
}

func newLocator(h Network, x *exchange.Exchange) *locator {
	return &locator{host: h, x: x, changed: make(chan struct{})}
}

var paths = map[string]fetch.Path{"loopback": fetch.Loopback, "lan": fetch.LAN, "direct": fetch.Direct, "relay": fetch.Relay}

func (l *locator) Devices() []fetch.Candidate {
	var out []fetch.Candidate
	for _, s := range l.host.Peers() {
		path, ok := paths[s.Path]
		if !ok {
			path = fetch.Unknown
		}
		out = append(out, fetch.Candidate{Source: l.x.Source(s.Device), Connected: s.Connected, Path: path, RTT: s.RTT, LastSeen: s.LastSeen})
	}
	return out
}

func (l *locator) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *locator) run(ctx context.Context) {
	events, stop := l.host.Subscribe()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				return
			}
			l.mu.Lock()
			close(l.changed)
			l.changed = make(chan struct{})
			l.mu.Unlock()
		}
	}
}

// corruptLog remembers what failed its check, for `shelf status`.
type corruptLog struct {
	mu     sync.Mutex
	here   int
	staged int // of them, those that no other device surely had: see lost
	lies   map[ident.DeviceID]int
	last   time.Time
	mend   func(digest) // nil before there is somebody to tell
	early  []digest     // to be told then

	gone     map[digest]bool // found here, and not come again; no more than maxGone
	repaired int             // those that have
}

// maxGone bounds what is remembered of a disk that dies.
const maxGone = 1 << 16

// found counts a block of the local cache that failed its check. What is kept here is fetched again at
// once, the rest when it is wanted.
func (c *corruptLog) found(d digest, was cache.Class) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.here++
	if was == cache.Staged {
		c.staged++
	}
	c.last = time.Now()
	if c.gone == nil {
		c.gone = map[digest]bool{}
	}
	if len(c.gone) < maxGone {
		c.gone[d] = true
	}
	switch {
	case was == cache.Fetched || was == cache.Past:
	case c.mend == nil:
		c.early = append(c.early, d)
	default:
		c.mend(d)
	}
}

// repairs counts the damaged blocks and those that are here again.
func (c *corruptLog) repairs(here func(digest) bool) (damaged, repaired int) {
	c.mu.Lock()
	gone := slices.Collect(maps.Keys(c.gone))
	c.mu.Unlock()
	gone = slices.DeleteFunc(gone, func(d digest) bool { return !here(d) }) // asks the store, which may be telling us
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range gone {
		if c.gone[d] {
			delete(c.gone, d)
			c.repaired++
		}
	}
	return c.here, c.repaired
}

// tell says who mends what is kept here; mend must not wait.
func (c *corruptLog) tell(mend func(digest)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mend = mend
	for _, d := range c.early {
		mend(d)
	}
	c.early = nil
}

// lied counts a block that another device sent and that failed its check.
func (c *corruptLog) lied(r fetch.Report) {
	if !errs.Is(r.Err, errs.Corrupt) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lies == nil {
		c.lies = map[ident.DeviceID]int{}
	}
	c.lies[r.Device]++
	c.last = time.Now()
}
