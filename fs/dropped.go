package fs

import (
	"container/list"

	"github.com/shelffs/shelf/blocks"
)

// dropped is the names of what a cache dropped lately: had it been larger by the sizes of those since, it would still
// have it.
type dropped struct {
	by    map[blocks.Digest]*list.Element
	order list.List // of passed, the latest first
	size  int64     // of those, bytes
}

type passed struct {
	d    blocks.Digest
	size int64
}

func newDropped() dropped { return dropped{by: make(map[blocks.Digest]*list.Element)} }

// add notes what was dropped, and forgets what is beyond limit bytes.
func (p *dropped) add(d blocks.Digest, size, limit int64) {
	p.take(d)
	p.by[d] = p.order.PushFront(passed{d, size})
	for p.size += size; p.size > limit; {
		p.take(p.order.Back().Value.(passed).d)
	}
}

// take forgets a name, and returns the size that it had; 0 for a name that it does not know.
func (p *dropped) take(d blocks.Digest) int64 {
	e := p.by[d]
	if e == nil {
		return 0
	}
	delete(p.by, d)
	size := p.order.Remove(e).(passed).size
	p.size -= size
	return size
}
