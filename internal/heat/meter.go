package heat

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

const (
	maxRows    = 4096        // files of which anything is known; the coldest go first
	coldest    = 0.02        // what is colder is forgotten: a use of six weeks ago
	flushEvery = time.Minute // what a crash takes is as much of it
)

// Meter keeps the heat of files in memory and, a minute later, in rows of the home's store. Its methods may
// be called concurrently; none waits for the disk but Flush.
type Meter struct {
	db   *kv.DB
	wall func() time.Time
	log  *slog.Logger
	stop context.CancelFunc
	wg   sync.WaitGroup

	writing sync.Mutex // one flush at a time; taken before mu

	mu      sync.Mutex
	clock   Clock
	rows    map[namespace.NodeID]row
	changed map[namespace.NodeID]bool // not written yet; a node without a row is to be deleted
	used    chan struct{}             // closed and replaced when something was used
}

// Open returns the meter whose rows lie in db. Close it before the store.
func Open(db *kv.DB, wall func() time.Time, log *slog.Logger) (*Meter, error) {
	m := &Meter{db: db, wall: wall, log: log, rows: map[namespace.NodeID]row{}, changed: map[namespace.NodeID]bool{}, used: make(chan struct{})}
	if err := m.load(); err != nil {
		return nil, errs.E("heat.Open", errs.Other, "", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.wg.Go(func() {
		for sleep(ctx, flushEvery) {
			if err := m.Flush(); err != nil {
				log.Warn("what is used here could not be noted", "err", err)
			}
		}
	})
	return m, nil
}

// Close writes down what is still in memory alone.
func (m *Meter) Close() error {
	m.stop()
	m.wg.Wait()
	return m.Flush()
}

// Use counts a use of each of some files.
func (m *Meter) Use(files ...namespace.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Tick(m.wall())
	for _, n := range files {
		r := m.rows[n]
		if r.freed {
			r = row{}
		}
		r.heat, r.used = r.heat.Plus(1, now), now
		m.setLocked(n, r, now)
	}
	close(m.used)
	m.used = make(chan struct{})
}

// Used returns a channel that is closed at the next use.
func (m *Meter) Used() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Free forgets the heat of a file that a person wants here no more: until it is used here again, neither
// its old heat nor that of another device brings it back.
func (m *Meter) Free(n namespace.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Tick(m.wall())
	m.setLocked(n, row{freed: true, marked: now}, now)
}

// Brought notes that a content of a file was brought: that is done once.
func (m *Meter) Brought(n namespace.NodeID, root blocks.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Tick(m.wall())
	r := m.rows[n]
	r.brought, r.marked = digest(root[:8]), now
	m.setLocked(n, r, now)
}

// keep notes which files are hot enough to be kept.
func (m *Meter) keep(hot map[namespace.NodeID]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, r := range m.rows {
		if r.kept != hot[n] {
			r.kept = hot[n]
			m.rows[n], m.changed[n] = r, true
		}
	}
}

func (m *Meter) setLocked(n namespace.NodeID, r row, now Beat) {
	m.rows[n], m.changed[n] = r, true
	if len(m.rows) > maxRows {
		m.trimLocked(now, maxRows*7/8)
	}
}

// trimLocked forgets what is cold, and the coldest where there is more than most.
func (m *Meter) trimLocked(now Beat, most int) {
	all := slices.SortedFunc(maps.Keys(m.rows), func(a, b namespace.NodeID) int {
		return cmp.Or(cmp.Compare(m.rows[b].worth(now), m.rows[a].worth(now)), a.Compare(b))
	})
	for i, n := range all {
		if i >= most || m.rows[n].worth(now) < coldest {
			delete(m.rows, n)
			m.changed[n] = true
		}
	}
}

// File is one file and its heat here.
type File struct {
	Node    namespace.NodeID
	Heat    float64
	Ago     time.Duration // since the last use here
	Freed   bool          // Heat is 0, and nothing brings it here
	brought digest
	kept    bool
}

// Of is what is known of one file.
func (m *Meter) Of(n namespace.NodeID) File {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rows[n].file(n, m.clock.Tick(m.wall()))
}

// All lists the files of which anything is known, the hottest first.
func (m *Meter) All() []File {
	m.mu.Lock()
	now := m.clock.Tick(m.wall())
	out := make([]File, 0, len(m.rows))
	for n, r := range m.rows {
		out = append(out, r.file(n, now))
	}
	m.mu.Unlock()
	slices.SortFunc(out, func(a, b File) int { return cmp.Or(cmp.Compare(b.Heat, a.Heat), a.Node.Compare(b.Node)) })
	return out
}

func (r row) file(n namespace.NodeID, now Beat) File {
	f := File{Node: n, Heat: r.heat.At(now), Freed: r.freed, brought: r.brought, kept: r.kept, Ago: Never}
	if r.used > 0 {
		f.Ago = time.Duration(now-r.used) * time.Second
	}
	return f
}

// Never is longer ago than anything.
const Never = time.Duration(1<<63 - 1)

// Flush writes down what has changed. It does not wait for the disk.
func (m *Meter) Flush() error {
	const op = "heat.Flush"
	m.writing.Lock()
	defer m.writing.Unlock()
	b := m.db.Batch()
	defer b.Close()
	m.mu.Lock()
	now := m.clock.Tick(m.wall())
	m.trimLocked(now, maxRows)
	todo, clock := m.changed, m.clock
	rows := make(map[namespace.NodeID]row, len(todo))
	for n := range todo {
		if r, ok := m.rows[n]; ok {
			rows[n] = r
		}
	}
	m.changed = map[namespace.NodeID]bool{}
	m.mu.Unlock()
	if len(todo) == 0 {
		return nil
	}
	err := b.Set(m.db.Key(tableClock), wireClock(clock))
	for n := range todo {
		if err != nil {
			break
		}
		if r, ok := rows[n]; ok {
			err = b.Set(m.rowKey(n), r.marshal())
		} else {
			err = b.Delete(m.rowKey(n))
		}
	}
	if err == nil {
		err = b.Commit(kv.NoSync)
	}
	if err != nil {
		m.mu.Lock()
		maps.Copy(m.changed, todo) // with the next
		m.mu.Unlock()
		return errs.E(op, errs.Other, "", err)
	}
	return nil
}

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
