package cache

import (
	"sync/atomic"

	"github.com/shelffs/shelf/blocks"
)

// ghosts remember which blocks were evicted lately, and from which queue, and learn from those that
// come back how large the young queue is to be, as ARC does (Megiddo, Modha, FAST 2003): a block
// that comes back would still be here, had its queue been larger. They are changed by the
// evicting hand and by puts, under Store.mu; atomic, since they are saved meanwhile.
type ghosts struct {
	young, old gone
	share      atomic.Int64 // of the young queue, in 1/shareUnit of what is fetched
}

const (
	shareUnit   = 1 << 20
	firstShare  = shareUnit / 4
	leastShare  = shareUnit / 10
	mostShare   = shareUnit - leastShare
	ghostRounds = 2 // a turn lasts for this many times as many evictions as there are blocks
)

// gone are ghosts of one queue: those of the present turn and those of the one before.
type gone struct {
	now, before bits // 2^22 bits each
	n, nBefore  atomic.Int64
}

func newGone() gone { return gone{now: make(bits, 1<<22/32), before: make(bits, 1<<22/32)} }

// note remembers that d went from a queue, while so many blocks are fetched.
func (g *ghosts) note(d blocks.Digest, queue uint8, cached int64) {
	most := int64(len(g.young.now)) * 32 / 8 // more, and they would be taken for one another
	if g.young.n.Load()+g.old.n.Load() >= min(max(ghostRounds*cached, 64), most) {
		g.young.turn()
		g.old.turn()
	}
	q := &g.young
	if queue != queueYoung {
		q = &g.old
	}
	q.n.Add(1)
	q.now.set(d)
}

// returned reports whether d was evicted lately. It is of n bytes, and so many are fetched.
func (g *ghosts) returned(d blocks.Digest, n, fetched int64) bool {
	young, old := g.young.take(d), g.old.take(d)
	if !young && !old {
		return false
	}
	step := max(1, n*shareUnit/max(1, fetched))
	y, o := max(1, g.young.count()), max(1, g.old.count()) // the fewer there are of a kind, the more each says
	if young {
		step *= max(1, o/y)
	} else {
		step *= -max(1, y/o)
	}
	g.share.Store(min(max(g.share.Load()+step, leastShare), mostShare))
	return true
}

func (g *gone) turn() {
	for i := range g.now {
		g.before[i].Store(g.now[i].Swap(0))
	}
	g.nBefore.Store(g.n.Swap(0))
}

func (g *gone) count() int64 { return g.n.Load() + g.nBefore.Load() }

func (g *gone) take(d blocks.Digest) bool {
	now, before := g.now.take(d), g.before.take(d)
	return now || before
}
