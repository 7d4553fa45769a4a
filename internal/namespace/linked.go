package namespace

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/shelffs/shelf/internal/kv"
)

// linked remembers which files may have hard links, in a Bloom filter: a look into the store for every
// entry that is read would be half of what reading one costs, and one link anywhere (git makes one for each pack and
// takes it back) is enough to have to look. What is added stays until the replica is opened again: who
// reads an older state than is being written sees too much, never too little.
type linked struct {
	seed maphash.Seed
	bits []atomic.Uint64 // nil: there are too many to tell
}

const (
	linkedBits = 1 << 20
	linkedMost = linkedBits / 8 // more links than this are not worth being read at the beginning
)

func (l *linked) places(id NodeID) (a, b uint64) {
	h := maphash.Bytes(l.seed, id[:])
	return h % linkedBits, h >> 32 % linkedBits
}

func (l *linked) add(id NodeID) {
	if l.bits == nil {
		return
	}
	a, b := l.places(id)
	l.bits[a/64].Or(1 << (a % 64))
	l.bits[b/64].Or(1 << (b % 64))
}

// may reports false if a file certainly has no hard links.
func (l *linked) may(id NodeID) bool {
	if l.bits == nil {
		return true
	}
	a, b := l.places(id)
	return l.bits[a/64].Load()>>(a%64)&1 == 1 && l.bits[b/64].Load()>>(b%64)&1 == 1
}

// loadLinked reads which files have hard links.
func (r *Replica) loadLinked() error {
	l := &r.linked
	l.seed = maphash.MakeSeed()
	if r.state.links > linkedMost {
		return nil
	}
	l.bits = make([]atomic.Uint64, linkedBits/64)
	if r.state.links == 0 {
		return nil
	}
	prefix := r.cfg.DB.Key(tableLinks)
	return r.cfg.DB.ScanKeys(prefix, func(k kv.Key) bool {
		var id NodeID
		copy(id[:], k[len(prefix):])
		l.add(id)
		return true
	})
}
