// Package handles is the table of what is open at an adapter.
package handles

import "sync"

// Table gives numbers to what is open. A number is used again only after it was taken out; 0 is
// none. The zero Table is empty; any number of goroutines may use one.
type Table[T any] struct {
	mu   sync.RWMutex
	open []slot[T]
	free []uint64
}

type slot[T any] struct {
	v    T
	used bool
}

// Put takes v in.
func (t *Table[T]) Put(v T) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		t.open[i-1] = slot[T]{v, true}
		return i
	}
	t.open = append(t.open, slot[T]{v, true})
	return uint64(len(t.open))
}

// Get returns what has the number i.
func (t *Table[T]) Get(i uint64) (v T, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if i == 0 || i > uint64(len(t.open)) {
		return v, false
	}
	s := t.open[i-1]
	return s.v, s.used
}

// Take returns what has the number i, and takes it out.
func (t *Table[T]) Take(i uint64) (v T, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i == 0 || i > uint64(len(t.open)) || !t.open[i-1].used {
		return v, false
	}
	v = t.open[i-1].v
	t.open[i-1] = slot[T]{}
	t.free = append(t.free, i)
	return v, true
}

// Drain takes out everything.
func (t *Table[T]) Drain(fn func(T)) {
	t.mu.Lock()
	all := t.open
	t.open, t.free = nil, nil
	t.mu.Unlock()
	for _, s := range all {
		if s.used {
			fn(s.v)
		}
	}
}
