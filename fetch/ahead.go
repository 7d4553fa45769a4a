package fetch

import (
	"container/list"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// ahead holds blocks that were read ahead until their reader takes them: they need neither be
// read from the disk again nor checked again. The oldest go first.
type ahead struct {
	limit, size int64
	order       *list.List // of held
	by          map[blocks.Digest]*list.Element
}

// held is a block that waits for its reader.
type held struct {
	blocks.Sealed
	from  ident.DeviceID
	along bool // nobody asked for it, it came along with a manifest: it is nowhere else, and gone if nobody takes it
}

func newAhead(limit int64) ahead {
	return ahead{limit: limit, order: list.New(), by: map[blocks.Digest]*list.Element{}}
}

// put holds a block.
func (a *ahead) put(b held) {
	if _, ok := a.by[b.Digest]; ok || int64(len(b.Bytes)) > a.limit {
		return
	}
	b.Hold()
	a.by[b.Digest] = a.order.PushBack(b)
	a.size += int64(len(b.Bytes))
	for a.size > a.limit {
		a.remove(a.order.Front()).Done()
	}
}

// take returns a block, which the caller holds in its place.
func (a *ahead) take(d blocks.Digest) (h held, ok bool) {
	e := a.by[d]
	if e == nil {
		return h, false
	}
	return a.remove(e), true
}

func (a *ahead) has(d blocks.Digest) bool { return a.by[d] != nil }

// claim turns a block that came along into one that somebody asked for.
func (a *ahead) claim(d blocks.Digest) (h held, ok bool) {
	e := a.by[d]
	if e == nil || !e.Value.(held).along {
		return h, false
	}
	h = e.Value.(held)
	e.Value = held{Sealed: h.Sealed}
	return h, true
}

// asked reports whether a block is here that somebody had asked for.
func (a *ahead) asked(d blocks.Digest) bool { return a.has(d) && !a.by[d].Value.(held).along }

func (a *ahead) remove(e *list.Element) held {
	b := a.order.Remove(e).(held)
	delete(a.by, b.Digest)
	a.size -= int64(len(b.Bytes))
	return b
}
