package replicate

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/wire"
)

// A device whose home was copied may be in use twice at a time. Its two runs have one id, so that the
// network takes them for one device: it opens streams to either, and to which is not known. What
// tells them apart is that a run says its number in every hello. When one is heard again after another
// was, both are alive: a restarted process comes with a new number, and the old one never again.
//
// Such a device is not called any more, because always the same run might answer. It is told that it is there
// twice, and each of its runs then calls itself, on a protocol of its own, to be pushed to. What the
// two push they push in turns: a new stream of a device ends the one before (admit).

// ProtocolCall names the protocol by which a device that is there twice asks to be pushed to: the
// one that opens the stream receives.
const ProtocolCall = "/shelf/records/3/call"

const (
	twiceTime = time.Minute     // how long after the last sign of it a device counts as being there twice
	turnTime  = 2 * time.Second // the longest pause between pushes of one that is
	mostRuns  = 8               // that are remembered of a device
)

// run is the number of a process.
type run [16]byte

func newRun() (r run) {
	rand.Read(r[:])
	return r
}

// twins is what is known of devices that are there twice.
type twins struct {
	mu   sync.Mutex
	runs map[ident.DeviceID][]run     // in the order in which they were heard last
	seen map[ident.DeviceID]time.Time // two of them, for the last time
	told map[ident.DeviceID]time.Time // by whom this device itself was said to be there twice
	news chan struct{}                // closed and replaced when somebody says so
}

func newTwins() twins {
	return twins{runs: map[ident.DeviceID][]run{}, seen: map[ident.DeviceID]time.Time{}, told: map[ident.DeviceID]time.Time{}, news: make(chan struct{})}
}

// heard notes which run of a device speaks, and whether it says that this one is there twice.
func (t *twins) heard(dev ident.DeviceID, n run, twice bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if twice {
		t.told[dev] = now
		close(t.news)
		t.news = make(chan struct{})
	} else {
		delete(t.told, dev)
	}
	list := t.runs[dev]
	at := slices.Index(list, n)
	switch {
	case n == run{} || at >= 0 && at == len(list)-1: // says nothing, or nothing new
		return
	case at >= 0:
		t.seen[dev] = now
		list = slices.Delete(list, at, at+1)
	}
	list = append(list, n)
	t.runs[dev] = list[max(0, len(list)-mostRuns):]
}

// twice reports whether a device is there twice.
func (t *twins) twice(dev ident.DeviceID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.seen[dev]
	return ok && time.Since(at) < twiceTime
}

// toldBy reports whether a device says that this one is there twice; news is closed when one says so next.
func (t *twins) toldBy(dev ident.DeviceID) (yes bool, news <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.told[dev]
	return ok && time.Since(at) < twiceTime, t.news
}

// Twice lists the devices that were found to be in use twice within the last minute; this one among them,
// if another says so.
func (r *Replicator) Twice() (out []ident.DeviceID) {
	t := &r.twins
	t.mu.Lock()
	defer t.mu.Unlock()
	for dev, at := range t.seen {
		if time.Since(at) < twiceTime {
			out = append(out, dev)
		}
	}
	for _, at := range t.told {
		if time.Since(at) < twiceTime {
			return append(out, r.cfg.Self)
		}
	}
	return out
}

// keepCalling has dev push to us as long as it says that this device is there twice.
func (r *Replicator) keepCalling(ctx context.Context, dev ident.DeviceID) {
	for ctx.Err() == nil {
		told, news := r.twins.toldBy(dev)
		if !told {
			select {
			case <-ctx.Done():
			case <-news:
			}
			continue
		}
		err := r.call(ctx, dev)
		r.cfg.Log.Debug("call ended", "device", dev.Short(), "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(turnTime):
		}
	}
}

func (r *Replicator) call(ctx context.Context, dev ident.DeviceID) error {
	s, err := r.cfg.Network.Open(ctx, dev, ProtocolCall)
	if err != nil {
		return err
	}
	defer s.Reset()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	in := r.admit(dev, s)
	if in == nil {
		return errs.E("replicate.call", errs.Closed, "", nil)
	}
	defer r.leave(dev, in)
	if err := handshake(s, true, r.cfg.Self, dev, r.cfg.Blind); err != nil {
		return err
	}
	return r.take(dev, s)
}

// called pushes to a run of dev that asks for it.
func (r *Replicator) called(dev ident.DeviceID, s wire.Stream) {
	defer s.Reset()
	r.mu.Lock()
	if r.closed || !r.cfg.Members.Member(dev) {
		r.mu.Unlock()
		return
	}
	r.wg.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	r.calls[s] = cancel
	r.mu.Unlock()
	defer func() {
		cancel()
		r.mu.Lock()
		delete(r.calls, s)
		r.mu.Unlock()
		r.wg.Done()
	}()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	err := handshake(s, false, r.cfg.Self, dev, r.cfg.Blind)
	if err == nil {
		err = r.pushOver(ctx, dev, s)
	}
	r.cfg.Log.Debug("push to a caller ended", "device", dev.Short(), "err", err)
}
