package fs

import (
	"container/list"
	"context"
	"sync"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/seal"
	"github.com/shelffs/shelf/internal/errs"
)

// plainCache keeps a bounded amount of opened blocks, least recently used out first, and
// brings each block once for all who want it at the same time. It is small as long as nobody comes back to what it
// dropped: then the same memory is used again and again, which is quicker than memory that was not used before.
type plainCache struct {
	ctx context.Context // outlives callers: who gives up must not spoil it for the next
	cfg *Config

	mu    sync.Mutex
	byKey map[blocks.Digest]*plain
	order list.List // of *plain, most recently used first
	size  int64     // of those
	limit int64     // of size, for now; Limits.Plain at most
	past  dropped
	spare [5]sync.Pool // *[]byte, by class
}

// leastPlain is the limit at first, in bytes.
const leastPlain = 8 << 20

// plain is one opened block, or one on its way. Its bytes stay while refs > 0.
type plain struct {
	key   blocks.Digest
	ready chan struct{} // closed when b or err is set
	b     []byte
	err   error

	refs int // guarded by the cache's mu; the cache itself holds one while it lists it
	elem *list.Element
}

func newPlainCache(ctx context.Context, cfg *Config) *plainCache {
	return &plainCache{ctx: ctx, cfg: cfg, limit: min(leastPlain, cfg.Limits.Plain), byKey: make(map[blocks.Digest]*plain), past: newDropped()}
}

// acquire returns the block of ref, perhaps still on its way: wait for ready. from brings it if nobody
// does yet. The caller must release it.
func (c *plainCache) acquire(ref blocks.Ref, from blocks.Getter) *plain {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.byKey[ref.Digest]; p != nil {
		p.refs++
		if p.elem != nil {
			c.order.MoveToFront(p.elem)
		}
		return p
	}
	c.limit = min(c.limit+c.past.take(ref.Digest), c.cfg.Limits.Plain)
	p := &plain{key: ref.Digest, ready: make(chan struct{}), refs: 2}
	c.byKey[ref.Digest] = p
	go c.bring(p, ref.Length, from)
	return p
}

// bring gets and opens the block; its own reference becomes the cache's.
func (c *plainCache) bring(p *plain, length uint64, from blocks.Getter) {
	err := c.open(p, length, from)
	if errs.Is(err, errs.Corrupt) && c.cfg.Damaged != nil && c.cfg.Damaged(c.ctx, p.key) == nil {
		err = c.open(p, length, from)
	}
	p.err = err
	close(p.ready)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.byKey, p.key)
		c.drop(p)
		return
	}
	p.elem = c.order.PushFront(p)
	c.size += int64(cap(p.b))
	for c.size > c.limit && c.order.Len() > 1 {
		last := c.order.Remove(c.order.Back()).(*plain)
		last.elem = nil
		delete(c.byKey, last.key)
		c.size -= int64(cap(last.b))
		c.past.add(last.key, int64(cap(last.b)), c.cfg.Limits.Plain-c.limit)
		c.drop(last)
	}
}

func (c *plainCache) open(p *plain, length uint64, from blocks.Getter) error {
	sealed, err := from.GetBlock(c.ctx, p.key)
	if err == nil {
		p.b, err = c.cfg.Sealer.Open(seal.Data, sealed, length, c.buffer(length))
		sealed.Done()
	}
	return err
}

func (c *plainCache) release(p *plain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(p)
}

func (c *plainCache) drop(p *plain) {
	if p.refs--; p.refs == 0 {
		if k := plainClass(uint64(cap(p.b))); k >= 0 && cap(p.b) == smallestPlain<<k {
			b := p.b[:0]
			c.spare[k].Put(&b)
		}
		p.b = nil
	}
}

// smallestPlain is the smallest buffer that is used again; each class is twice the one before.
const smallestPlain = 256 << 10

// plainClass is the class of buffers that hold n bytes, -1 if none is kept for such n.
func plainClass(n uint64) int {
	if n <= bufMid {
		return -1
	}
	for k := range 5 {
		if n <= smallestPlain<<k {
			return k
		}
	}
	return -1
}

// buffer returns an empty slice with room for n bytes.
func (c *plainCache) buffer(n uint64) []byte {
	k := plainClass(n)
	if k < 0 {
		return make([]byte, 0, n)
	}
	if b, ok := c.spare[k].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, smallestPlain<<k)
}

// find tells whether the block is opened, or else on its way.
func (c *plainCache) find(d blocks.Digest) (opened, coming bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.byKey[d]
	return p != nil && p.elem != nil, p != nil && p.elem == nil
}

// holds reports whether the block is here or on its way.
func (c *plainCache) holds(d blocks.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byKey[d] != nil
}

func (c *plainCache) held() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}
