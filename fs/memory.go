package fs

import (
	"sync"
	"sync/atomic"
)

// Sizes of the buffers that hold unsaved bytes. Fresh memory is slow to touch, so
// buffers are kept for reuse.
const (
	bufSmall = 4 << 10
	bufMid   = 64 << 10
	bufMax   = 1 << 20
)

// buffer is memory of one size; len(b) is how much of it is used. shares counts the
// spans that refer to it and is guarded by the lock of the layer that holds them.
type buffer struct {
	b      []byte
	shares int
}

// memory hands out buffers and counts what is out.
type memory struct {
	pools [3]sync.Pool
	used  atomic.Int64 // bytes handed out
}

func class(n int) (int, int) {
	switch {
	case n <= bufSmall:
		return 0, bufSmall
	case n <= bufMid:
		return 1, bufMid
	}
	return 2, bufMax
}

// get returns an empty buffer with room for n ≤ bufMax bytes and one share.
func (m *memory) get(n int) *buffer {
	c, size := class(n)
	m.used.Add(int64(size))
	if b, ok := m.pools[c].Get().(*buffer); ok {
		b.b, b.shares = b.b[:0], 1
		return b
	}
	return &buffer{b: make([]byte, 0, size), shares: 1}
}

// put gives back one share of b; nil is fine.
func (m *memory) put(b *buffer) {
	if b == nil {
		return
	}
	if b.shares--; b.shares > 0 {
		return
	}
	c, size := class(cap(b.b))
	m.used.Add(-int64(size))
	m.pools[c].Put(b)
}
