package heat

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

const (
	tellEvery   = 15 * time.Second // to one device at most; the first time at once
	tellTime    = 10 * time.Second // a message, all of it
	workingTime = 3 * 24 * time.Hour
	workingHeat = 0.5 // the least heat of a file that is worth telling
)

// said is what a device was told last.
type said struct {
	what []byte
	when time.Time
}

// tellLoop tells the devices of this network the working set when it is news to them.
func (e *Engine) tellLoop(ctx context.Context) {
	told := map[ident.DeviceID]said{}
	again := lookEvery
	for {
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-e.tell:
			timer.Stop()
		case <-timer.C:
		}
		again = e.tellAll(ctx, told)
	}
}

// tellAll returns after how long there may be more to tell.
func (e *Engine) tellAll(ctx context.Context, told map[ident.DeviceID]said) (again time.Duration) {
	again = lookEvery
	near := e.cfg.Device.Near()
	maps.DeleteFunc(told, func(dev ident.DeviceID, _ said) bool { return !slices.Contains(near, dev) })
	if len(near) == 0 {
		return again
	}
	what := e.working().encode()
	sealed := e.cfg.Sealer.SealRecord(header(e.cfg.Self), what)
	for _, dev := range near {
		last, ok := told[dev]
		if ok && bytes.Equal(last.what, what) || !ok && len(what) == setHead {
			continue
		}
		if wait := tellEvery - time.Since(last.when); wait > 0 {
			again = min(again, wait)
			continue
		}
		now := said{what: what, when: time.Now()}
		if err := e.say(ctx, dev, sealed); err != nil { // one of an older version, for one, that does not know the protocol
			e.cfg.Log.Debug("working set not told", "device", dev.Short(), "err", err)
			now.what, again = nil, min(again, max(tellEvery, lookEvery/4))
		}
		told[dev] = now
	}
	return again
}

func (e *Engine) say(ctx context.Context, dev ident.DeviceID, sealed []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	s, err := e.cfg.Network.Open(ctx, dev, Protocol)
	if err != nil {
		return err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	_ = s.SetDeadline(time.Now().Add(tellTime))
	return wire.WriteFrame(s, sealed)
}

// working is the working set of this device: what was used on it within some days.
func (e *Engine) working() set {
	s := set{}
	for _, f := range e.cfg.Meter.All() { // the hottest first
		if len(s) == maxSet {
			break
		}
		if f.Heat < workingHeat || f.Ago > workingTime {
			continue
		}
		if _, err := e.cfg.Names.Get(f.Node); err == nil {
			s[f.Node] = levelOf(f.Heat)
		}
	}
	return s
}

// hear takes another device's working set. What comes from elsewhere than this network is not listened to.
func (e *Engine) hear(dev ident.DeviceID, s wire.Stream) {
	defer s.Close()
	if !slices.Contains(e.cfg.Device.Near(), dev) {
		return
	}
	_ = s.SetDeadline(time.Now().Add(tellTime))
	f, err := wire.ReadFrame(s, setFrame)
	if err != nil {
		return
	}
	plain, err := e.cfg.Sealer.OpenRecord(header(dev), f)
	var got set
	if err == nil {
		got, err = parseSet(plain)
	}
	if err != nil {
		e.cfg.Log.Warn("working set refused", "device", dev.Short(), "err", err)
		return
	}
	e.mu.Lock()
	e.sets[dev] = heard{set: got, when: time.Now()}
	e.mu.Unlock()
	poke(e.wake)
}

// Elsewhere is the heat of a file on the other device of this network where it is hottest; 0: none said
// that it is used.
func (e *Engine) Elsewhere(n namespace.NodeID) (dev ident.DeviceID, heat float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for d, h := range e.sets {
		if l, ok := h.set[n]; ok && l.heat() > heat {
			dev, heat = d, l.heat()
		}
	}
	return dev, heat
}
