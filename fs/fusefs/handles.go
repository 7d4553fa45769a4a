//go:build linux || darwin || freebsd

package fusefs

import "sync"

// handles gives numbers to what is open. A number is used again only after it was taken
// out; 0 is none.
type handles[T any] struct {
	mu   sync.RWMutex
	open []slot[T]
	free []uint64
}

type slot[T any] struct {
	v    T
	used bool
}

func (t *handles[T]) put(v T) uint64 {
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

func (t *handles[T]) get(i uint64) (v T, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if i == 0 || i > uint64(len(t.open)) {
		return v, false
	}
	s := t.open[i-1]
	return s.v, s.used
}

func (t *handles[T]) take(i uint64) (v T, ok bool) {
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

// drain takes out everything.
func (t *handles[T]) drain(fn func(T)) {
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
