package placement

import (
	"context"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// The protocols. On KeepProtocol the opener says what it keeps, first everything, then what
// changes, for as long as the connection lasts. HoldProtocol is one question and its answer.
const (
	KeepProtocol = "/shelf/keep/1"
	HoldProtocol = "/shelf/hold/1"
)

const (
	frameLimit  = 4 << 20
	messageTime = 30 * time.Second
)

// listeners are the announcing streams that are open; each has a queue of what it has not said yet.
type listeners struct {
	mu  sync.Mutex
	all map[*listener]bool
}

type listener struct {
	wake    chan struct{} // capacity 1
	pending []keepChange
}

func (ls *listeners) join() *listener {
	l := &listener{wake: make(chan struct{}, 1)}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.all == nil {
		ls.all = map[*listener]bool{}
	}
	ls.all[l] = true
	return l
}

func (ls *listeners) leave(l *listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.all, l)
}

func (ls *listeners) say(c keepChange) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.all {
		l.pending = append(l.pending, c)
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (ls *listeners) take(l *listener) []keepChange {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	n := min(len(l.pending), maxNodes)
	out := l.pending[:n:n]
	l.pending = l.pending[n:]
	return out
}

// keepNow records what this device keeps, or keeps no longer, and tells everybody what is news.
func (e *Engine) keepNow(n namespace.NodeID, dots []namespace.Dot, on bool) {
	if e.ledger.set(e.cfg.Self, on, dots...) {
		e.listeners.say(newKeepChange(n, dots, on))
	}
}

// announce tells dev what we keep until the stream breaks or ctx ends.
func (e *Engine) announce(ctx context.Context, dev ident.DeviceID) error {
	s, err := e.cfg.Network.Open(ctx, dev, KeepProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	l := e.listeners.join() // before the ledger is read: nothing falls between
	defer e.listeners.leave(l)
	say := func(a announcement) error {
		_ = s.SetWriteDeadline(time.Now().Add(messageTime))
		return wire.WriteFrame(s, wire.Marshal(a))
	}
	if err := say(announcement{Full: true, Kept: e.ledger.encode(e.cfg.Self)}); err != nil {
		return err
	}
	for {
		for c := e.listeners.take(l); len(c) > 0; c = e.listeners.take(l) {
			if err := say(announcement{Changes: c}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
		}
	}
}

// hear takes another device's announcements.
func (e *Engine) hear(dev ident.DeviceID, s wire.Stream) {
	defer s.Reset()
	for {
		f, err := wire.ReadFrame(s, frameLimit)
		if err != nil {
			return
		}
		a, full, err := parseAnnouncement(f)
		if err != nil {
			e.cfg.Log.Warn("announcement refused", "device", dev.Short(), "err", err)
			return
		}
		if a.Full {
			e.ledger.replace(dev, full)
			e.tryAllReleases()
			continue
		}
		for _, c := range a.Changes {
			n, dots, err := c.parse()
			if err != nil {
				e.cfg.Log.Warn("announcement refused", "device", dev.Short(), "err", err)
				return
			}
			if e.ledger.set(dev, c.On, dots...); c.On { // also when it is no news: it may keep a conflict copy more
				e.tryRelease(n)
			}
		}
	}
}
