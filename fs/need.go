package fs

import (
	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
)

// A read that nothing else goes with brings no more of a block than the parts that it needs: to bring, verify, open and
// keep all of it takes several times as long. Who comes back to a block gets all of it.

// need is a block or a hole that a read needs, or a part of a block.
type need struct {
	blocks.Ref
	part int // i+1: of part i
	off  int64
	n    int64 // bytes of the file, from off on
}

// maxAlone is how many parts of a block are read alone: of a read that lies across their border, two.
const maxAlone = 2

// wholes are the needs of a read that needs all of the pieces.
func wholes(pieces []content.Piece) []need {
	out := make([]need, len(pieces))
	for i, pc := range pieces {
		out[i] = need{Ref: pc.Ref, off: int64(pc.Off), n: int64(pc.Length)}
	}
	return out
}

// needs lists what a read of [off, end) needs of pieces. alone says that nobody may read what lies around.
func (c *plainCache) needs(pieces []content.Piece, off, end int64, alone bool) (out []need) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, pc := range pieces {
		at := int64(pc.Off)
		first := int(max(off-at, 0) / blocks.PartLen)
		last := min(int(max(end-at-1, 0)/blocks.PartLen), blocks.Parts(pc.Length)-1)
		if !c.partsLocked(pc.Ref, first, last, alone) {
			out = append(out, need{Ref: pc.Ref, off: at, n: int64(pc.Length)})
			continue
		}
		for i := first; i <= last; i++ {
			skip := int64(i) * blocks.PartLen
			out = append(out, need{Ref: pc.Ref, part: i + 1, off: at + skip, n: min(int64(pc.Length)-skip, blocks.PartLen)})
		}
	}
	return out
}

// partsLocked reports whether a read of these parts of a block needs no more of it than those: they are here, or
// nothing of the block was read lately.
func (c *plainCache) partsLocked(r blocks.Ref, first, last int, alone bool) bool {
	n := blocks.Parts(r.Length)
	if r.Sums == "" || c.byKey[plainKey{r.Digest, 0}] != nil {
		return false
	}
	here, all := 0, last-first+1
	for i := range n {
		if c.byKey[plainKey{r.Digest, i + 1}] == nil {
			continue
		}
		if i >= first && i <= last {
			here++
		} else {
			alone = false
		}
	}
	return here == all || here == 0 && alone && all <= min(maxAlone, n-1) && c.past.by[r.Digest] == nil
}
