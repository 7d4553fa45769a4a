package kv

import (
	"hash"
	"hash/fnv"
	"sync"

	"github.com/shelffs/shelf/internal/errs"
)

// Memory is a disk in memory that holds one store: for simulations, where a thousand stores
// open each second, and where a crash, the image of a disk and the disk put back are steps of
// a script. Everything about it is deterministic; nothing is sealed or hidden.
//
// As with a real disk, commits become durable in their order: a crash loses those since the
// last Sync from some point on.
type Memory struct {
	mu       sync.RWMutex
	rows     rows
	durable  rows   // the state at the last Sync
	unsynced []rows // the states after each commit since
	power    int    // commits and syncs until the power fails; < 0: never
	open     bool
}

// NewMemory returns an empty disk.
func NewMemory() *Memory { return &Memory{power: -1} }

// OpenMemory opens the store on m. Busy: it is open already.
func OpenMemory(m *Memory) (*DB, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open {
		return nil, errs.E("kv.OpenMemory", errs.Busy, "", nil)
	}
	m.open = true
	return &DB{engine: memory{m}, gate: newGate(), keys: newKeyer(func() hash.Hash { return fnv.New128a() })}, nil
}

// Unsynced is how many commits a crash might lose now.
func (m *Memory) Unsynced() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.unsynced)
}

// Crash returns the disk as it is found after a crash: what was durable, and the first keep
// of the commits since (fewer, if there are fewer). m itself is left as it is, for the store
// that is still open on it.
func (m *Memory) Crash(keep int) *Memory {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := NewMemory()
	c.rows = m.durable
	if n := min(keep, len(m.unsynced)); n > 0 {
		c.rows = m.unsynced[n-1]
	}
	c.durable = c.rows
	return c
}

// Clone returns an image of the disk, as it would be found after closing its store now.
func (m *Memory) Clone() *Memory { return m.Crash(1 << 30) }

// FailAfter lets the power fail after n further commits and syncs: those after them change
// nothing and answer with an error of kind Other, until Crash gives a new disk.
func (m *Memory) FailAfter(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.power = max(n, 0)
}

// work counts a commit or sync against the power. Needs mu.
func (m *Memory) work(op string) error {
	if m.power == 0 {
		return errs.E(op, errs.Other, "the power has failed", nil)
	}
	if m.power > 0 {
		m.power--
	}
	return nil
}

// memory is the engine over a Memory.
type memory struct{ m *Memory }

// present is the state now.
func (e memory) present() rows {
	e.m.mu.RLock()
	defer e.m.mu.RUnlock()
	return e.m.rows
}

func (e memory) get(dst []byte, k Key) ([]byte, error)         { return e.present().get(dst, k) }
func (e memory) has(k Key) (bool, error)                       { return e.present().has(k) }
func (e memory) scan(r Range, fn func(Key, []byte) bool) error { return e.present().scan(r, fn) }

func (e memory) each(prefixes []Key, fn func(int, Key) bool) error {
	return e.present().each(prefixes, fn)
}

func (e memory) pick(keys []Key, fn func(int, []byte) bool) error {
	return e.present().pick(keys, fn)
}

func (e memory) sync(op string) error {
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sync(op)
}

func (m *Memory) sync(op string) error {
	if len(m.unsynced) == 0 {
		return nil
	}
	if err := m.work(op); err != nil {
		return err
	}
	m.durable, m.unsynced = m.rows, nil
	return nil
}

func (e memory) stop() {}

func (e memory) close() error {
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = false
	return m.sync("kv.Close")
}

func (e memory) metrics() Metrics { return Metrics{} }

func (e memory) size() (n int64) {
	for _, l := range e.present() {
		for _, x := range l {
			n += int64(len(x.key) + len(x.value))
		}
	}
	return n
}

func (e memory) free() int64 { return 1 << 62 }

type memorySnapshot struct{ rows }

func (e memory) snapshot() engineSnapshot { return memorySnapshot{e.present()} }

func (memorySnapshot) close() error { return nil }

type memoryBatch struct {
	m       *Memory
	changes changes
	bytes   int
}

func (e memory) batch() engineBatch { return &memoryBatch{m: e.m} }

func (b *memoryBatch) set(k Key, value []byte) error {
	own := append(append(make([]byte, 0, len(k)+len(value)), k...), value...)
	return b.add(change{row: row{own[:len(k):len(k)], own[len(k):]}})
}

func (b *memoryBatch) mark(k Key) error { return b.add(change{row: row{key: k.Clone()}}) }

func (b *memoryBatch) delete(k Key) error { return b.add(change{row: row{key: k.Clone()}, gone: true}) }

func (b *memoryBatch) deleteRange(from, to Key) error {
	return b.add(change{row: row{key: from.Clone()}, end: to.Clone()})
}

func (b *memoryBatch) add(c change) error {
	if b.changes == nil {
		b.changes = make(changes, 0, 16)
	}
	b.changes = append(b.changes, c)
	b.bytes += len(c.key) + len(c.value) + len(c.end)
	return nil
}

func (b *memoryBatch) len() int     { return b.bytes }
func (b *memoryBatch) empty() bool  { return len(b.changes) == 0 }
func (b *memoryBatch) close() error { return nil }

// over is the store with the changes over it, made anew for each read: those are rare.
func (b *memoryBatch) over() rows { return memory{b.m}.present().with(b.changes) }

func (b *memoryBatch) get(dst []byte, k Key) ([]byte, error) { return b.over().get(dst, k) }
func (b *memoryBatch) has(k Key) (bool, error)               { return b.over().has(k) }
func (b *memoryBatch) pick(keys []Key, fn func(int, []byte) bool) error {
	return b.over().pick(keys, fn)
}
func (b *memoryBatch) each(prefixes []Key, fn func(int, Key) bool) error {
	return b.over().each(prefixes, fn)
}
func (b *memoryBatch) scan(r Range, fn func(Key, []byte) bool) error {
	return b.over().scan(r, fn)
}

func (b *memoryBatch) commit(op string, d Durability, _ bool) error {
	m := b.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !b.empty() {
		if err := m.work(op); err != nil {
			return err
		}
		m.rows = m.rows.with(b.changes)
		m.unsynced = append(m.unsynced, m.rows)
	}
	if d == Sync {
		return m.sync(op)
	}
	return nil
}
