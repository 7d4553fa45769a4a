package content

import (
	"context"
	"slices"
	"sort"
	"sync"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// node is a manifest with the offsets of its children, relative to its first byte.
type node struct {
	level    uint8
	size     uint64
	children []blocks.Ref
	starts   []uint64
}

func newNode(m blocks.Manifest) *node {
	n := &node{level: m.Level, size: m.Size, children: m.Children, starts: make([]uint64, len(m.Children))}
	var at uint64
	for i, c := range m.Children {
		n.starts[i] = at
		at += c.Length
	}
	return n
}

// find returns the index of the child that holds the byte at off, which is below size.
func (n *node) find(off uint64) int {
	return sort.Search(len(n.starts), func(i int) bool { return n.starts[i] > off }) - 1
}

// node brings a manifest and checks it against what its parent says of it. No lock is held
// while the getter works; two callers may then bring the same manifest, and either copy is
// good.
func (e *env) node(ctx context.Context, ref blocks.Ref, level uint8) (*node, error) {
	return e.nodeFor(ctx, ref, blocks.Stretch{Level: level})
}

// nodeFor is node for who reads on below it.
func (e *env) nodeFor(ctx context.Context, ref blocks.Ref, next blocks.Stretch) (*node, error) {
	n := e.nodes.get(ref.Digest)
	if n == nil {
		b, err := e.manifest(ctx, ref.Digest, next)
		if err != nil {
			return nil, errs.E("content.manifest", errs.Other, ref.Digest.Short(), err)
		}
		m, err := e.s.OpenManifest(b)
		if err != nil {
			return nil, err
		}
		n = newNode(m)
		e.nodes.put(ref.Digest, n)
	}
	return n.as(ref, next.Level)
}

// as checks a node against what its parent says of it.
func (n *node) as(ref blocks.Ref, level uint8) (*node, error) {
	if n.level != level || n.size != ref.Length {
		return nil, errs.E("content.manifest", errs.Corrupt, ref.Digest.Short(), nil)
	}
	return n, nil
}

// bringer gives the node of a manifest of which some is needed.
type bringer func(ref blocks.Ref, next blocks.Stretch) (*node, error)

// bring is nodeFor on behalf of ctx.
func (e *env) bring(ctx context.Context) bringer {
	return func(ref blocks.Ref, next blocks.Stretch) (*node, error) { return e.nodeFor(ctx, ref, next) }
}

// known is nodeFor for what is kept; NotExist.
func (e *env) known(ref blocks.Ref, next blocks.Stretch) (*node, error) {
	if n := e.nodes.get(ref.Digest); n != nil {
		return n.as(ref, next.Level)
	}
	return nil, errs.E("content.manifest", errs.NotExist, ref.Digest.Short(), nil)
}

func (e *env) manifest(ctx context.Context, d blocks.Digest, next blocks.Stretch) (blocks.Sealed, error) {
	if w, ok := e.g.(blocks.Walker); ok && next.Len > 0 {
		return w.GetManifest(ctx, d, next)
	}
	return e.g.GetBlock(ctx, d)
}

// maxNodes bounds a cache: so many manifests are at most 6 MiB and cover some 15 GiB of a file. To bring
// one back costs a getter's block and a tenth of a millisecond.
const maxNodes = 128

// nodeCache keeps the manifests used last, the most recent at the end. The zero value is
// empty.
type nodeCache struct {
	mu   sync.Mutex
	list []cached
}

type cached struct {
	digest blocks.Digest
	node   *node
}

func (c *nodeCache) get(d blocks.Digest) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.list) - 1; i >= 0; i-- {
		if hit := c.list[i]; hit.digest == d {
			copy(c.list[i:], c.list[i+1:])
			c.list[len(c.list)-1] = hit
			return hit.node
		}
	}
	return nil
}

// peek is get that leaves the order alone.
func (c *nodeCache) peek(d blocks.Digest) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.list, func(x cached) bool { return x.digest == d }); i >= 0 {
		return c.list[i].node
	}
	return nil
}

func (c *nodeCache) put(d blocks.Digest, n *node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(x cached) bool { return x.digest == d })
	if len(c.list) == maxNodes {
		c.list = slices.Delete(c.list, 0, 1)
	}
	c.list = append(c.list, cached{d, n})
}
