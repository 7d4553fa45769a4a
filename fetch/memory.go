package fetch

import (
	"context"
	"math/bits"
	"sync"

	"github.com/shelffs/shelf/blocks"
)

// memory is what blocks come into, from devices and from the cache, and that is used again when all who held one are
// done with it. Fresh memory for each costs more than all that is done with the block where the system has to find it
// page by page.
type memory struct{ classes [6]sync.Pool } // of *[]byte

// Sizes of the classes in bytes: each twice the one before. What is smaller is not worth it, what is larger is no usual block.
const (
	leastMemory = 32 << 10
	mostMemory  = leastMemory << 5
	margin      = 8 << 10 // for headers: the longest usual block is a little longer than mostMemory
)

// class is that of n bytes; -1: none.
func (m *memory) class(n int) int {
	if n < leastMemory || n > mostMemory+margin {
		return -1
	}
	return max(0, bits.Len(uint((n-margin-1)/leastMemory)))
}

// get returns room for n bytes: of length 0.
func (m *memory) get(n int) []byte {
	k := m.class(n)
	if k < 0 {
		return make([]byte, 0, n)
	}
	if b, ok := m.classes[k].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, leastMemory<<k+margin)
}

// put takes memory back. Whoever still looks at it sees no block.
func (m *memory) put(b []byte) {
	b = b[:cap(b)]
	for k := range m.classes {
		if len(b) == leastMemory<<k+margin {
			clear(b[:blockHead])
			b = b[:0]
			m.classes[k].Put(&b)
			return
		}
	}
}

// blockHead is more than any header of a block takes.
const blockHead = 64

// borrowed is the memory of one block.
type borrowed struct {
	m *memory
	b []byte // nil before it was asked for
}

// room gives the memory; of what it gave, the last is used.
func (r *borrowed) room(n int) []byte {
	r.b = r.m.get(n)
	return r.b
}

// lend makes a block of bytes that may lie in it.
func (r *borrowed) lend(d blocks.Digest, sealed []byte) blocks.Sealed {
	if len(sealed) == 0 || cap(r.b) == 0 || &sealed[:cap(sealed)][cap(sealed)-1] != &r.b[:cap(r.b)][cap(r.b)-1] {
		return blocks.Sealed{Digest: d, Bytes: sealed}
	}
	b := r.b
	return blocks.Lend(d, sealed, func() { r.m.put(b) })
}

// roomy is a cache that reads into memory of the caller's choice.
type roomy interface {
	GetBlockIn(ctx context.Context, d blocks.Digest, room func(n int) []byte) (blocks.Sealed, error)
}

// read gets a block from the cache.
func (f *Fetcher) read(ctx context.Context, d blocks.Digest) (blocks.Sealed, error) {
	c, ok := f.cfg.Cache.(roomy)
	if !ok {
		return f.cfg.Cache.GetBlock(ctx, d)
	}
	r := borrowed{m: &f.memory}
	b, err := c.GetBlockIn(ctx, d, r.room)
	if err != nil {
		return b, err
	}
	return r.lend(d, b.Bytes), nil
}
