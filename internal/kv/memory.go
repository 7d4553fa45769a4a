package kv

import (
	"hash"
	"hash/fnv"
	"slices"
	"strings"
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
	mu     sync.RWMutex
	rows   rows
	lent   int       // snapshots that read rows: it is copied before it changes
	base   rows      // the state before log; never changed
	log    []changes // all commits since base
	synced int       // how many of them are durable
	power  int       // commits and syncs until the power fails; < 0: never
	open   bool
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
	return len(m.log) - m.synced
}

// Crash returns the disk as it is found after a crash: what was durable, and the first keep
// of the commits since (fewer, if there are fewer). m itself is left as it is, for the store
// that is still open on it.
func (m *Memory) Crash(keep int) *Memory {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := NewMemory()
	c.rows = slices.Clone(m.base)
	for _, b := range m.log[:min(m.synced+max(keep, 0), len(m.log))] {
		c.rows = c.rows.with(b)
	}
	c.base = slices.Clone(c.rows)
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

// row is one row; rows are sorted by key. Keys and values are never changed.
type row struct {
	key   string
	value []byte
}

type rows []row

func (r rows) find(k Key) (int, bool) {
	lo, hi := 0, len(r)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if r[mid].key < string(k) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(r) && r[lo].key == string(k)
}

func (r rows) get(dst []byte, k Key) ([]byte, error) {
	i, ok := r.find(k)
	if !ok {
		return nil, errs.E("kv.Get", errs.NotExist, tableName(k), nil)
	}
	if dst == nil {
		return append(make([]byte, 0, len(r[i].value)), r[i].value...), nil
	}
	return append(dst, r[i].value...), nil
}

func (r rows) has(k Key) (bool, error) {
	_, ok := r.find(k)
	return ok, nil
}

// slice is the part of r within the range.
func (r rows) slice(rg Range) rows {
	lower, upper := rg.bounds()
	from, _ := r.find(lower)
	to := len(r)
	if upper != nil {
		to, _ = r.find(upper)
	}
	return r[from:max(from, to)]
}

func (r rows) scan(rg Range, fn func(Key, []byte) bool) error {
	part := r.slice(rg)
	key := make(Key, 0, 64)
	for i := range part {
		x := &part[i]
		if rg.Reverse {
			x = &part[len(part)-1-i]
		}
		value := x.value
		if rg.KeysOnly {
			value = nil
		}
		key = append(key[:0], x.key...)
		if !fn(key, value) {
			break
		}
	}
	return nil
}

// change is one change of a batch: of a row, or the deletion of all from key to end.
type change struct {
	row
	gone bool
	end  string // not empty: a range
}

type changes []change

// with applies changes in their order. It may change r in place.
func (r rows) with(cs changes) rows {
	for len(cs) > 0 {
		n := slices.IndexFunc(cs, func(c change) bool { return c.end != "" })
		if n == 0 {
			from, _ := r.find(Key(cs[0].key))
			to, _ := r.find(Key(cs[0].end))
			r, cs = slices.Delete(r, from, max(from, to)), cs[1:]
			continue
		}
		if n < 0 {
			n = len(cs)
		}
		r, cs = r.merge(cs[:n]), cs[n:]
	}
	return r
}

// merge applies changes of single rows: first those of rows that are there, then, in one pass
// from the end, new rows.
func (r rows) merge(cs changes) rows {
	last := make(changes, 0, len(cs)) // of each key the last change
	sorted := slices.Clone(cs)
	slices.SortStableFunc(sorted, func(a, b change) int { return strings.Compare(a.key, b.key) })
	for i, c := range sorted {
		if i+1 < len(sorted) && sorted[i+1].key == c.key {
			continue
		}
		last = append(last, c)
	}
	fresh, gone := last[:0], false
	for _, c := range last {
		switch i, there := r.find(Key(c.key)); {
		case there && c.gone:
			r[i].value, gone = nil, true
		case there:
			r[i].value = c.value
		case !c.gone:
			fresh = append(fresh, c)
		}
	}
	if gone {
		r = slices.DeleteFunc(r, func(x row) bool { return x.value == nil })
	}
	i, j := len(r)-1, len(fresh)-1
	r = slices.Grow(r, len(fresh))[:len(r)+len(fresh)]
	for at := len(r) - 1; j >= 0; at-- {
		if i >= 0 && r[i].key > fresh[j].key {
			r[at] = r[i]
			i--
		} else {
			r[at] = fresh[j].row
			j--
		}
	}
	return r
}

// memory is the engine over a Memory.
type memory struct{ m *Memory }

// present is the state now; it must not be used after the next commit.
func (e memory) present() rows {
	e.m.mu.RLock()
	defer e.m.mu.RUnlock()
	return e.m.rows
}

func (e memory) get(dst []byte, k Key) ([]byte, error) {
	e.m.mu.RLock()
	defer e.m.mu.RUnlock()
	return e.m.rows.get(dst, k)
}

func (e memory) has(k Key) (bool, error) {
	e.m.mu.RLock()
	defer e.m.mu.RUnlock()
	return e.m.rows.has(k)
}

// scan holds a snapshot while fn runs: fn may write.
func (e memory) scan(r Range, fn func(Key, []byte) bool) error {
	s := e.snapshot()
	defer func() { _ = s.close() }()
	return s.scan(r, fn)
}

func (e memory) sync(op string) error {
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sync(op)
}

// maxLog is when commits are folded into the base.
const maxLog = 4096

func (m *Memory) sync(op string) error {
	if m.synced == len(m.log) {
		return nil
	}
	if err := m.work(op); err != nil {
		return err
	}
	m.synced = len(m.log)
	if m.synced > maxLog {
		m.base, m.log, m.synced = slices.Clone(m.rows), nil, 0
	}
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
	for _, x := range e.present() {
		n += int64(len(x.key) + len(x.value))
	}
	return n
}

func (e memory) free() int64 { return 1 << 62 }

type memorySnapshot struct {
	rows
	m *Memory
}

func (e memory) snapshot() engineSnapshot {
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	e.m.lent++
	return &memorySnapshot{e.m.rows, e.m}
}

func (s *memorySnapshot) close() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if len(s.rows) > 0 && len(s.m.rows) > 0 && &s.rows[0] == &s.m.rows[0] { // else it was copied since
		s.m.lent--
	}
	s.rows = nil
	return nil
}

type memoryBatch struct {
	m       *Memory
	changes changes
	bytes   int
}

func (e memory) batch() engineBatch { return &memoryBatch{m: e.m} }

func (b *memoryBatch) set(k Key, value []byte) error {
	own := make([]byte, len(value))
	copy(own, value)
	return b.add(change{row: row{string(k), own}})
}

func (b *memoryBatch) delete(k Key) error { return b.add(change{row: row{key: string(k)}, gone: true}) }

func (b *memoryBatch) deleteRange(from, to Key) error {
	return b.add(change{row: row{key: string(from)}, end: string(to)})
}

func (b *memoryBatch) add(c change) error {
	b.changes = append(b.changes, c)
	b.bytes += len(c.key) + len(c.value) + len(c.end)
	return nil
}

func (b *memoryBatch) len() int     { return b.bytes }
func (b *memoryBatch) empty() bool  { return len(b.changes) == 0 }
func (b *memoryBatch) close() error { return nil }

// over is the store with the changes over it: batches of this size are made anew for each
// read, which are rare.
func (b *memoryBatch) over() rows {
	b.m.mu.RLock()
	defer b.m.mu.RUnlock()
	return slices.Clone(b.m.rows).with(b.changes)
}

func (b *memoryBatch) get(dst []byte, k Key) ([]byte, error) { return b.over().get(dst, k) }
func (b *memoryBatch) has(k Key) (bool, error)               { return b.over().has(k) }
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
		if m.lent > 0 {
			m.rows, m.lent = slices.Clone(m.rows), 0
		}
		m.rows = m.rows.with(b.changes)
		m.log = append(m.log, b.changes)
	}
	if d == Sync {
		return m.sync(op)
	}
	return nil
}
