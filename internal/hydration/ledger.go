package hydration

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

const (
	maxEntries = 10_000              // the oldest go first
	maxAge     = 30 * 24 * time.Hour // of an entry
	flushEvery = 5 * time.Second
	maxPending = 4096 // entries in memory; then they are written down early
)

// Entry is what one run brought of one file. An entry without a file counts what the run was refused.
type Entry struct {
	Run     uint64
	Node    namespace.NodeID
	Program string
	PID     uint32
	Parent  string // name of the program that started it; "" where not known
	Action  Action // of the rule about it
	Sweep   bool   // the run was sweeping by then

	Read    int64 // bytes of the file that it waited for
	Ahead   int64 // asked for because it read in order
	Pinned  int64 // because a person asked to keep it
	Refused uint64
	From    map[ident.DeviceID]int64 // of Read, Ahead and Pinned, what each device sent, as far as it is known
	First   time.Time
	Last    time.Time
}

type entryKey struct {
	run  uint64
	node namespace.NodeID
}

// Ledger remembers which program brought what. It writes a few seconds later and does not wait for the
// disk: what a crash takes is a few seconds of it. Its methods may be called concurrently.
type Ledger struct {
	db    *kv.DB
	clock func() time.Time
	log   *slog.Logger
	stop  context.CancelFunc
	wg    sync.WaitGroup
	early chan struct{}

	writing sync.Mutex // one flush at a time; taken before mu
	rows    int        // in the store; guarded by writing

	mu      sync.Mutex
	pending map[entryKey]*Entry
	last    uint64 // number of the newest run
	own     map[string]ownRun
}

func openLedger(db *kv.DB, clock func() time.Time, log *slog.Logger) (*Ledger, error) {
	l := &Ledger{db: db, clock: clock, log: log, early: make(chan struct{}, 1), pending: map[entryKey]*Entry{}, own: map[string]ownRun{}}
	err := db.ScanKeys(db.Key(tableBrought), func(k kv.Key) bool {
		l.rows++
		if key, ok := l.parse(k); ok {
			l.last = max(l.last, key.run)
		}
		return true
	})
	if err != nil {
		return nil, errs.E("hydration.Open", errs.Other, "", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.wg.Go(func() { l.keep(ctx) })
	return l, nil
}

func (l *Ledger) close() error {
	l.stop()
	l.wg.Wait()
	return l.Flush()
}

// keep writes down what happened, again and again.
func (l *Ledger) keep(ctx context.Context) {
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-l.early:
		}
		if err := l.Flush(); err != nil {
			l.log.Warn("what programs brought could not be noted", "err", err)
		}
	}
}

// next is the number of a new run.
func (l *Ledger) next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	return l.last
}

// brought notes what was brought for a run.
func (l *Ledger) brought(e Entry, a fs.Ask) {
	e.Node = a.Node
	if a.Ahead {
		e.Ahead = a.Bytes
	} else {
		e.Read = a.Bytes
	}
	l.note(e)
}

// refuse notes that a run was refused something.
func (l *Ledger) refuse(e Entry) {
	e.Refused = 1
	l.note(e)
}

// Pinned notes what a pin brought, as a run of its own, and which devices sent that.
func (l *Ledger) Pinned(id namespace.NodeID, bytes int64, from map[ident.DeviceID]int64) {
	l.note(Entry{Run: l.next(), Program: "shelf pin", Node: id, Action: Allow, Pinned: bytes, From: from})
}

// Brought notes what was brought for a reason of this device's own, under the name of that. What comes
// without a rest between is one run.
func (l *Ledger) Brought(reason string, id namespace.NodeID, bytes int64) {
	now := l.clock()
	l.mu.Lock()
	r, ok := l.own[reason]
	if !ok || now.Sub(r.last) > restTime {
		l.last++
		r.id = l.last
	}
	r.last = now
	l.own[reason] = r
	l.mu.Unlock()
	l.note(Entry{Run: r.id, Program: reason, Node: id, Action: Allow, Ahead: bytes})
}

// ownRun is a run of this device's own.
type ownRun struct {
	id   uint64
	last time.Time
}

// note adds to an entry.
func (l *Ledger) note(e Entry) {
	e.First = l.clock()
	e.Last = e.First
	l.mu.Lock()
	defer l.mu.Unlock()
	key := entryKey{e.Run, e.Node}
	if have := l.pending[key]; have != nil {
		have.add(e)
	} else {
		l.pending[key] = &e
	}
	if len(l.pending) >= maxPending {
		select {
		case l.early <- struct{}{}:
		default:
		}
	}
}

// add takes in a later entry of the same run and file.
func (e *Entry) add(x Entry) {
	e.Read, e.Ahead, e.Pinned, e.Refused = e.Read+x.Read, e.Ahead+x.Ahead, e.Pinned+x.Pinned, e.Refused+x.Refused
	e.Sweep = e.Sweep || x.Sweep
	for dev, n := range x.From {
		if e.From == nil {
			e.From = map[ident.DeviceID]int64{}
		}
		e.From[dev] += n
	}
	e.Last = x.Last
}

// Flush writes down what is in memory. It does not wait for the disk.
func (l *Ledger) Flush() error {
	const op = "hydration.Flush"
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	todo := l.pending
	l.pending = map[entryKey]*Entry{}
	l.mu.Unlock()
	if len(todo) == 0 {
		return nil
	}
	b := l.db.Batch()
	defer b.Close()
	rows := l.rows
	for key, e := range todo {
		have, err := l.row(key)
		switch {
		case err == nil:
			have.add(*e)
			e = &have
		case errs.Is(err, errs.NotExist):
			rows++
		default:
			l.log.Debug("an entry of what programs brought is lost", "err", err)
		}
		if err := b.Set(l.key(key), e.marshal()); err != nil {
			return errs.E(op, errs.Other, "", err)
		}
	}
	if err := b.Commit(kv.NoSync); err != nil {
		return errs.E(op, errs.Other, "", err)
	}
	l.rows = rows
	return l.trim()
}

// trim drops the oldest entries where there are too many, and those of long ago. l.writing is held.
func (l *Ledger) trim() error {
	b := l.db.Batch()
	defer b.Close()
	var failed error
	gone, old := 0, l.clock().Add(-maxAge)
	err := l.db.Scan(l.db.Key(tableBrought), func(k kv.Key, v []byte) bool {
		e, ok := l.entry(k, v)
		if ok && l.rows-gone <= maxEntries && !e.Last.Before(old) {
			return false // runs are numbered as they begin: what follows is younger
		}
		gone++
		failed = b.Delete(k.Clone())
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	if err == nil && gone > 0 {
		err = b.Commit(kv.NoSync)
	}
	if err != nil {
		return errs.E("hydration.trim", errs.Other, "", err)
	}
	l.rows -= gone
	return nil
}

// Each calls fn for every entry, by runs, the oldest first.
func (l *Ledger) Each(fn func(Entry)) error {
	if err := l.Flush(); err != nil {
		return err
	}
	return l.scan(l.db.Key(tableBrought), fn)
}

// Of calls fn for every entry of one run.
func (l *Ledger) Of(run uint64, fn func(Entry)) error {
	if err := l.Flush(); err != nil {
		return err
	}
	return l.scan(l.db.Key(tableBrought, kv.U64(run)), fn)
}

func (l *Ledger) scan(prefix kv.Key, fn func(Entry)) error {
	return l.db.Scan(prefix, func(k kv.Key, v []byte) bool {
		if e, ok := l.entry(k, v); ok {
			fn(e)
		}
		return true
	})
}
