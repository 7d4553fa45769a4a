package kv

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/shelffs/shelf/internal/errs"
)

// guard stands between Pebble and the disk, so that a full or failing one never ends the
// process, as Pebble alone would. Three lines of defence:
//
//  1. admit refuses changes while the disk has less than a floor free.
//  2. When the disk is full all the same (others write to it too), a ballast file is removed
//     and the write repeated: what was begun completes. The store is then full: it refuses
//     changes until there is room again for the ballast.
//  3. When that does not help either, or the disk reports another error where Pebble cannot
//     go on (log, manifest), the store has failed: the error is kept, no byte is written or
//     removed any more (guardfs.go pretends success to Pebble, and every caller gets the
//     error instead), so that the disk stays as a crash at that moment would have left it.
//
// admit also holds writers back while flushes and compactions lag, instead of Pebble's own
// stall, which could not be ended by a failure.
type guard struct {
	o       Options
	dir     string
	log     *slog.Logger
	closing chan struct{}

	full atomic.Bool
	fail atomic.Pointer[errs.Error]

	ballastMu sync.Mutex // guards the ballast file

	p          *pebble.DB   // set before the first admit
	busy       atomic.Bool  // writers wait
	written    atomic.Int64 // bytes admitted since the last look at disk and backlog
	lastLook   atomic.Int64 // when, unix ns
	looking    atomic.Bool  // somebody is looking
	tableFails atomic.Int32 // tables that failed since one was synced
	lastNoise  atomic.Int64 // last report of failing background work, unix ns
}

const (
	maxBacklog   = 5  // memtables' worth of bytes in memory that wait for the disk
	maxSublevels = 24 // of level 0: each costs every read a look

	lookBytes     = 1 << 20                // look at disk and backlog after this many bytes,
	lookEvery     = 250 * time.Millisecond // or after this long
	retryPause    = 100 * time.Millisecond // between attempts of background work on a full disk
	maxTableFails = 20                     // then the disk is broken: some seconds of retryPause
	lastDrop      = 1 << 20                // with less than this free, reclaiming is refused too
)

func newGuard(o Options, dir string) *guard {
	return &guard{o: o, dir: dir, log: o.Logger, closing: make(chan struct{})}
}

// begin is called once the store is open, before its first write.
func (g *guard) begin(p *pebble.DB) {
	g.p = p
	if !g.o.ReadOnly && g.o.Ballast > 0 && g.avail() > g.o.FreeFloor+g.o.Ballast {
		g.ballastMu.Lock()
		defer g.ballastMu.Unlock()
		if err := g.makeBallast(); err != nil {
			g.log.Warn("kv: no ballast against a full disk", "err", err)
		}
	}
}

// roomToOpen makes sure that opening can write what it must (a table of the log that it replays,
// a manifest), which Pebble would try for ever: where the room is short, the ballast is given up
// for it. NoSpace: that is not enough either.
func (g *guard) roomToOpen() error {
	need := int64(2 * g.o.memTable)
	if g.o.ReadOnly || g.o.FreeFloor < 0 || g.avail() >= need {
		return nil
	}
	g.ballastMu.Lock()
	_ = g.o.FS.Remove(g.ballastName())
	g.ballastMu.Unlock()
	if g.avail() >= need {
		return nil
	}
	return errs.E("kv.Open", errs.NoSpace, "the disk is full: make some room on it first", nil)
}

func (g *guard) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if now, last := time.Now().UnixNano(), g.lastNoise.Load(); now-last > int64(10*time.Second) && g.lastNoise.CompareAndSwap(last, now) {
				g.log.Warn("kv: background work failed, will be repeated", "err", err)
			}
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) { g.log.Error("kv: damaged file", "info", i.String()) },
	}
}

// failure is why the store takes no more writes, nil while it does.
func (g *guard) failure() error {
	if e := g.fail.Load(); e != nil {
		return e
	}
	return nil
}

func (g *guard) failed(err error) {
	e := &errs.Error{Op: "kv", Subject: "disk", Kind: errs.OS(err), Err: err}
	if g.fail.CompareAndSwap(nil, e) {
		g.log.Error("kv: the disk failed; no more writes until the store is opened again", "err", err)
	}
}

// admit refuses a write when there is no room for it, and holds it back while the disk lags.
func (g *guard) admit(op string, reclaims bool, bytes int) error {
	if g.written.Add(int64(bytes)) >= lookBytes || time.Now().UnixNano()-g.lastLook.Load() > int64(lookEvery) || g.full.Load() {
		g.look()
	}
	for g.busy.Load() && !g.full.Load() && g.failure() == nil {
		select {
		case <-g.closing:
			return errs.E(op, errs.Closed, "", nil)
		case <-time.After(5 * time.Millisecond):
			g.look()
		}
	}
	if err := g.failure(); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	if bytes > lookBytes && g.avail() < g.o.FreeFloor+int64(bytes) || g.full.Load() && (!reclaims || g.avail() < lastDrop) {
		return errs.E(op, errs.NoSpace, "disk", nil)
	}
	return nil
}

// look updates full and busy; one caller at a time does it, the others go on with what was.
func (g *guard) look() {
	if !g.looking.CompareAndSwap(false, true) {
		return
	}
	defer g.looking.Store(false)
	g.lastLook.Store(time.Now().UnixNano())
	if g.written.Load() >= lookBytes || g.busy.Load() {
		g.written.Store(0)
		m := g.p.Metrics()
		g.busy.Store(m.MemTable.Size > maxBacklog*uint64(g.o.memTable) || m.Levels[0].Sublevels > maxSublevels)
	}
	g.lookAtDisk()
}

// lookAtDisk enters and leaves the full state by the free space. It leaves only with room to
// spare for the ballast, so that it does not flutter.
func (g *guard) lookAtDisk() {
	free := g.avail()
	if !g.full.Load() {
		if free < g.o.FreeFloor && g.full.CompareAndSwap(false, true) {
			g.log.Warn("kv: disk nearly full, changes are refused", "free", free)
		}
		return
	}
	if free < g.o.FreeFloor+max(g.o.Ballast, 0) {
		return
	}
	g.ballastMu.Lock()
	defer g.ballastMu.Unlock()
	if g.o.Ballast > 0 {
		if err := g.makeBallast(); err != nil {
			return
		}
	}
	if g.full.CompareAndSwap(true, false) {
		g.log.Info("kv: disk has room again", "free", free)
	}
}

// avail is the free space of the disk, in bytes; very much where the system cannot say.
func (g *guard) avail() int64 {
	u, err := g.o.FS.GetDiskUsage(g.dir)
	if err != nil || u.AvailBytes > 1<<62 {
		return 1 << 62
	}
	return int64(u.AvailBytes)
}

func (g *guard) ballastName() string { return g.o.FS.PathJoin(g.dir, "ballast") }

// makeBallast makes sure that the ballast file is there in full. ballastMu is held.
func (g *guard) makeBallast() error {
	if st, err := g.o.FS.Stat(g.ballastName()); err == nil && st.Size() == g.o.Ballast {
		return nil
	}
	f, err := g.o.FS.Create(g.ballastName(), "ballast")
	if err != nil {
		return err
	}
	// Bytes that no filesystem stores as less than they are.
	noise := rand.NewChaCha8([32]byte{})
	_, err = io.CopyN(f, noise, g.o.Ballast)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = g.o.FS.Remove(g.ballastName())
	}
	return err
}

// dropBallast frees the ballast and marks the store full. Whoever got "no space" calls it and
// tries once more.
func (g *guard) dropBallast() {
	g.ballastMu.Lock()
	defer g.ballastMu.Unlock()
	g.nowFull()
	_ = g.o.FS.Remove(g.ballastName())
}

// nowFull ends writers' waits too: flushes that fail for want of space would never end them.
func (g *guard) nowFull() {
	if g.full.CompareAndSwap(false, true) {
		g.log.Warn("kv: disk full, changes are refused")
	}
}

// pause slows down background work that fails on a full or failed disk: Pebble would repeat
// it at once, for ever.
func (g *guard) pause() {
	select {
	case <-g.closing:
	case <-time.After(retryPause):
	}
}

// fatal is what Pebble calls before it would end the process.
func (g *guard) fatal(format string, args ...any) {
	var cause error
	for _, a := range args {
		if e, ok := a.(error); ok {
			cause = e
		}
	}
	g.failed(errs.E("kv", errs.OS(cause), fmt.Sprintf(format, args...), nil))
}
