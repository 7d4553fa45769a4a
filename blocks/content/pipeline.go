package content

import (
	"runtime"
	"sync"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/chunker"
	"github.com/shelffs/shelf/blocks/seal"
)

// pipeline seals chunks on several cores and hands the blocks on in the order in which the
// chunks came, from the caller's goroutine. It holds at most width chunks.
type pipeline struct {
	s     *seal.Sealer
	width int
	done  func(Piece, blocks.Sealed, []byte) error // the piece, its block, and the chunk's buffer to use again
	queue []*job
	bufs  *sync.Pool // of *[]byte, for blocks: fresh memory costs more than the sealing
}

// pooled is the smallest chunk whose block lies in a buffer that is used again.
const pooled = chunker.Min

type job struct {
	off    uint64
	plain  []byte
	sealed blocks.Sealed
	ref    blocks.Ref
	buf    *[]byte // where sealed lies; nil: in memory of its own
	err    error
	ready  chan struct{}
}

func newPipeline(s *seal.Sealer, bufs *sync.Pool, done func(Piece, blocks.Sealed, []byte) error) *pipeline {
	return &pipeline{s: s, bufs: bufs, width: min(runtime.GOMAXPROCS(0), 8) + 1, done: done}
}

// put takes over the buffer of a chunk that begins at off. While the queue is full it waits
// for the oldest chunk.
func (p *pipeline) put(off uint64, plain []byte) error {
	if len(p.queue) == p.width {
		if err := p.next(); err != nil {
			return err
		}
	}
	j := &job{off: off, plain: plain, ready: make(chan struct{})}
	p.queue = append(p.queue, j)
	go func() {
		defer close(j.ready)
		if len(j.plain) < pooled {
			j.sealed, j.ref, j.err = p.s.AppendData(make([]byte, 0, seal.Overhead+seal.Padme(uint64(len(j.plain)))), j.plain)
			return
		}
		var ok bool
		if j.buf, ok = p.bufs.Get().(*[]byte); !ok {
			j.buf = new(make([]byte, 0, seal.Overhead+seal.Padme(chunker.Max)))
		}
		j.sealed, j.ref, j.err = p.s.AppendData(*j.buf, j.plain)
	}()
	return nil
}

// next hands on the oldest chunk's block.
func (p *pipeline) next() error {
	j := p.queue[0]
	p.queue = p.queue[1:]
	<-j.ready
	if j.err != nil {
		return j.err
	}
	err := p.done(Piece{j.ref, j.off}, j.sealed, j.plain)
	if j.buf != nil {
		p.bufs.Put(j.buf)
	}
	return err
}

// drain hands on everything.
func (p *pipeline) drain() error {
	for len(p.queue) > 0 {
		if err := p.next(); err != nil {
			return err
		}
	}
	return nil
}

// stop waits until no goroutine works any more, and drops the results.
func (p *pipeline) stop() {
	for _, j := range p.queue {
		<-j.ready
	}
	p.queue = nil
}
