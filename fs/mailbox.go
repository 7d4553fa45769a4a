package fs

import (
	"context"
	"iter"
	"sync"
)

// mailbox is an unbounded queue whose reader takes all that waits at once: the more there
// is to do, the larger the groups. What bounds it is that each entry stands for memory
// that writers had to be let in for.
type mailbox[T any] struct {
	mu   *sync.Mutex
	box  *[]T
	wake chan struct{}
}

func newMailbox[T any]() mailbox[T] {
	return mailbox[T]{mu: new(sync.Mutex), box: new([]T), wake: make(chan struct{}, 1)}
}

func (m mailbox[T]) put(v ...T) {
	m.mu.Lock()
	*m.box = append(*m.box, v...)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// groups yields what waits until ctx ends.
func (m mailbox[T]) groups(ctx context.Context) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-m.wake:
			}
			if all := m.take(); len(all) > 0 && !yield(all) {
				return
			}
		}
	}
}

// take returns what waits now.
func (m mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := *m.box
	*m.box = nil
	return all
}
