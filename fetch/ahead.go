package fetch

import (
	"container/list"

	"github.com/shelffs/shelf/blocks"
)

// ahead holds blocks that were read ahead until their reader takes them: they need neither be
// read from the disk again nor checked again. The oldest go first.
type ahead struct {
	limit, size int64
	order       *list.List // of blocks.Sealed
	by          map[blocks.Digest]*list.Element
}

func newAhead(limit int64) ahead {
	return ahead{limit: limit, order: list.New(), by: map[blocks.Digest]*list.Element{}}
}

func (a *ahead) put(b blocks.Sealed) {
	if _, ok := a.by[b.Digest]; ok || int64(len(b.Bytes)) > a.limit {
		return
	}
	a.by[b.Digest] = a.order.PushBack(b)
	a.size += int64(len(b.Bytes))
	for a.size > a.limit {
		a.remove(a.order.Front())
	}
}

// take returns a block and lets go of it.
func (a *ahead) take(d blocks.Digest) (blocks.Sealed, bool) {
	e := a.by[d]
	if e == nil {
		return blocks.Sealed{}, false
	}
	return a.remove(e), true
}

func (a *ahead) has(d blocks.Digest) bool { return a.by[d] != nil }

func (a *ahead) remove(e *list.Element) blocks.Sealed {
	b := a.order.Remove(e).(blocks.Sealed)
	delete(a.by, b.Digest)
	a.size -= int64(len(b.Bytes))
	return b
}
