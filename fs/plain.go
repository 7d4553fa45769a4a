package fs

import (
	"container/list"
	"context"
	"slices"
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
	byKey map[plainKey]*plain
	order list.List // of *plain, most recently used first
	size  int64     // of those
	parts int64     // of parts among them: a quarter of the limit at most, as each may be read but once
	limit int64     // of size, for now; Limits.Plain at most
	past  dropped
	spare [len(plainSizes)]sync.Pool // *[]byte, by class
}

// plainKey names a block, or with part i+1 part i of it.
type plainKey struct {
	blocks.Digest
	part int
}

// leastPlain is the limit at first, in bytes.
const leastPlain = 8 << 20

// plain is one opened block, or part of one, or one on its way. Its bytes stay while refs > 0.
type plain struct {
	key   plainKey
	ready chan struct{} // closed when b or err is set
	b     []byte
	err   error

	refs int // guarded by the cache's mu; the cache itself holds one while it lists it
	elem *list.Element
}

func newPlainCache(ctx context.Context, cfg *Config) *plainCache {
	return &plainCache{ctx: ctx, cfg: cfg, limit: min(leastPlain, cfg.Limits.Plain), byKey: make(map[plainKey]*plain), past: newDropped()}
}

// acquire returns the block of ref, or with part i+1 that part, perhaps still on its way: wait for ready. from brings
// it if nobody does yet. The caller must release it.
func (c *plainCache) acquire(ref blocks.Ref, part int, from blocks.Getter) *plain {
	p, known := c.enlist(ref, part)
	if !known {
		go c.bring(p, ref, from)
	}
	return p
}

// acquireNow is acquire for who has nothing else to do: a block that is on this device he opens himself, which spares
// handing it from one processor to another.
func (c *plainCache) acquireNow(ref blocks.Ref, part int, from blocks.Getter) *plain {
	p, known := c.enlist(ref, part)
	if known {
		return p
	}
	if l, ok := from.(Locals); ok && part == 0 {
		if sealed, ok := l.Local(c.ctx, ref.Digest); ok && c.unseal(p, ref, sealed) == nil {
			c.brought(p, nil)
			return p
		}
	}
	go c.bring(p, ref, from)
	return p
}

// enlist returns the block of a ref, or a part of it, which the caller has to bring unless it was known.
func (c *plainCache) enlist(ref blocks.Ref, part int) (p *plain, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := plainKey{ref.Digest, part}
	if p := c.byKey[key]; p != nil {
		p.refs++
		if p.elem != nil {
			c.order.MoveToFront(p.elem)
		}
		return p, true
	}
	c.limit = min(c.limit+c.past.take(ref.Digest), c.cfg.Limits.Plain)
	p = &plain{key: key, ready: make(chan struct{}), refs: 2}
	c.byKey[key] = p
	return p, false
}

// bring gets and opens the block.
func (c *plainCache) bring(p *plain, ref blocks.Ref, from blocks.Getter) {
	err := c.open(p, ref, from)
	if errs.Is(err, errs.Corrupt) && c.cfg.Damaged != nil && c.cfg.Damaged(c.ctx, p.key.Digest) == nil {
		err = c.open(p, ref, from)
	}
	c.brought(p, err)
}

// brought makes the reference of who brought the block the cache's.
func (c *plainCache) brought(p *plain, err error) {
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
	c.count(p, +1)
	for c.order.Len() > 1 && (c.size > c.limit || c.parts > c.limit/4) {
		c.evictLocked(c.parts > c.limit/4)
	}
}

func (c *plainCache) count(p *plain, sign int64) {
	c.size += sign * int64(cap(p.b))
	if p.key.part > 0 {
		c.parts += sign * int64(cap(p.b))
	}
}

// evictLocked drops what was used longest ago, or the part of which that is so.
func (c *plainCache) evictLocked(part bool) {
	e := c.order.Back()
	for part && e.Value.(*plain).key.part == 0 {
		e = e.Prev()
	}
	last := c.order.Remove(e).(*plain)
	last.elem = nil
	delete(c.byKey, last.key)
	c.count(last, -1)
	c.past.add(last.key.Digest, int64(cap(last.b)), c.cfg.Limits.Plain-c.limit)
	c.drop(last)
}

func (c *plainCache) open(p *plain, ref blocks.Ref, from blocks.Getter) (err error) {
	if i := p.key.part - 1; i >= 0 {
		p.b, err = from.(Parts).GetPart(c.ctx, ref.Digest, seal.PartSpan(ref, i), func(sent []byte) ([]byte, error) {
			return c.cfg.Sealer.OpenPart(ref, i, sent, c.buffer(uint64(len(sent))))
		})
		return err
	}
	sealed, err := from.GetBlock(c.ctx, ref.Digest)
	if err != nil {
		return err
	}
	return c.unseal(p, ref, sealed)
}

func (c *plainCache) unseal(p *plain, ref blocks.Ref, sealed blocks.Sealed) (err error) {
	p.b, err = c.cfg.Sealer.Open(seal.Data, sealed, ref.Length, c.buffer(ref.Length))
	sealed.Done()
	return err
}

func (c *plainCache) release(p *plain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(p)
}

func (c *plainCache) drop(p *plain) {
	if p.refs--; p.refs == 0 {
		if k := slices.Index(plainSizes[:], cap(p.b)); k >= 0 {
			b := p.b[:0]
			c.spare[k].Put(&b)
		}
		p.b = nil
	}
}

// leastUsedAgain is from how many bytes on a buffer is used again.
const leastUsedAgain = 32 << 10

// plainSizes are those buffers. The first is for parts, the last of which has the padding.
var plainSizes = [...]int{96 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}

// buffer returns an empty slice with room for n bytes.
func (c *plainCache) buffer(n uint64) []byte {
	k := slices.IndexFunc(plainSizes[:], func(size int) bool { return n <= uint64(size) })
	if k < 0 || n < leastUsedAgain {
		return make([]byte, 0, n)
	}
	if b, ok := c.spare[k].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, plainSizes[k])
}

// find tells whether a block or part is opened, or else on its way.
func (c *plainCache) find(key plainKey) (opened, coming bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.byKey[key]
	return p != nil && p.elem != nil, p != nil && p.elem == nil
}

// holds reports whether all of a block is here or on its way.
func (c *plainCache) holds(d blocks.Digest) bool {
	opened, coming := c.find(plainKey{d, 0})
	return opened || coming
}

func (c *plainCache) held() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}
