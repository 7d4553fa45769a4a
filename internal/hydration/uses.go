package hydration

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/namespace"
)

const (
	// useHold is how long a use is held before it counts: if its program turns out to sweep, it never does.
	useHold = 5 * time.Second
	// useGap is how long the uses of one file after one that counted are the same use: a build opens a header a
	// thousand times.
	useGap = 10 * time.Minute
	// useSweep is how many files a program uses within sweepTime if it goes through all of them. Unlike a sweep
	// that brings bytes here, this one need not read much: it is only not taken for a person.
	useSweep = 64
	// maxUses bounds the files that are held, and those of which it is known when a use counted last.
	maxUses = 4096
)

// Uses tells a person's uses of files from those of programs that go through files on their own: those that
// a rule is about, but for the owner's that allow, and those that sweep. Copying a folder is
// no use of its files either. Used implements fs.Uses.
type Uses struct {
	g     *Gate
	count func(...namespace.NodeID)
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu    sync.Mutex // never held across a look at a process
	held  map[namespace.NodeID]use
	last  map[namespace.NodeID]time.Time // when a use counted
	goers map[runKey]*goer
}

// use is one that does not count yet.
type use struct {
	when time.Time
	by   runKey
}

// goer is a run that uses files.
type goer struct {
	begun  time.Time
	files  map[namespace.NodeID]struct{} // at most useSweep
	sweeps time.Time                     // when it was last seen to
}

// Uses calls count with files as they are used; it must be quick. Close it before the Gate.
func (g *Gate) Uses(count func(...namespace.NodeID)) *Uses {
	u := &Uses{g: g, count: count, held: map[namespace.NodeID]use{}, last: map[namespace.NodeID]time.Time{}, goers: map[runKey]*goer{}}
	ctx, stop := context.WithCancel(context.Background())
	u.stop = stop
	u.wg.Go(func() {
		t := time.NewTicker(useHold / 5)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				u.settle(u.g.cfg.Clock().Add(-useHold))
			}
		}
	})
	return u
}

// Close counts what is held.
func (u *Uses) Close() {
	u.stop()
	u.wg.Wait()
	u.settle(u.g.cfg.Clock())
}

// Used implements fs.Uses. Files that are used again and again cost a look into a map.
func (u *Uses) Used(r fs.Reader, id namespace.NodeID) {
	now := u.g.cfg.Clock()
	u.mu.Lock()
	_, held := u.held[id]
	last, ok := u.last[id]
	known := held || ok && now.Sub(last) < useGap && !now.Before(last)
	u.mu.Unlock()
	if known {
		return
	}
	k := u.g.who.is(r.PID, now)
	if !u.g.person(k) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if by := (runKey{k.shown(), k.Parent}); len(u.held) < maxUses && !u.sweepsLocked(k, by, id, now) {
		u.held[id] = use{now, by}
	}
}

// person reports whether a program is taken for a person's.
func (g *Gate) person(k known) bool {
	return k.rule < 0 || k.rule < len(g.cfg.Rules) && g.rules[k.rule].Action == Allow
}

// sweepsLocked reports whether a run goes through very many files; what is held of it is dropped then. All
// programs that are not known look like one: they are never taken to sweep. u.mu is held.
func (u *Uses) sweepsLocked(k known, by runKey, id namespace.NodeID, now time.Time) bool {
	if k.PID == 0 {
		return false
	}
	w := u.goers[by]
	if w == nil {
		w = &goer{begun: now}
		u.goers[by] = w
	}
	if now.Sub(w.sweeps) < sweepTime {
		w.sweeps = now // until it rests
		return true
	}
	if now.Sub(w.begun) >= sweepTime || w.files == nil {
		w.begun, w.files = now, map[namespace.NodeID]struct{}{}
	}
	if w.files[id] = struct{}{}; len(w.files) < useSweep {
		return false
	}
	w.files, w.sweeps = nil, now
	maps.DeleteFunc(u.held, func(_ namespace.NodeID, x use) bool { return x.by == by })
	return true
}

// settle counts what has been held since then or longer, and forgets what rests.
func (u *Uses) settle(then time.Time) {
	now := u.g.cfg.Clock()
	u.mu.Lock()
	var ripe []namespace.NodeID
	for id, x := range u.held {
		if !x.when.After(then) || x.when.After(now) {
			ripe = append(ripe, id)
			delete(u.held, id)
			u.last[id] = now
		}
	}
	if len(u.last) > maxUses {
		maps.DeleteFunc(u.last, func(_ namespace.NodeID, t time.Time) bool { return now.Sub(t) >= useGap })
		if len(u.last) > maxUses {
			clear(u.last)
		}
	}
	maps.DeleteFunc(u.goers, func(_ runKey, w *goer) bool {
		return now.Sub(w.begun) >= sweepTime && now.Sub(w.sweeps) >= sweepTime
	})
	u.mu.Unlock()
	if len(ripe) > 0 {
		slices.SortFunc(ripe, namespace.NodeID.Compare)
		u.count(ripe...)
	}
}
