package exchange

import (
	"context"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// piece is how much of a block is written at once, and so how long something urgent may have to
// wait for something that is not. It fills one message of the multiplexer with its head.
const piece = 64<<10 - 12

func (v *service) answer(j *job, q question) error {
	switch q.kind {
	case kindGet, kindWalk, kindPart:
		return v.answerGet(j, q)
	case kindHave:
		return v.answerHave(j, q)
	case kindRelease:
		return v.answerRelease(j, q)
	}
	return v.write(j, errs.Interrupted, nil)
}

// answerGet reads the block and sends it. Whatever the reason, a block that is not served is
// answered in one way.
func (v *service) answerGet(j *job, q question) error {
	if !v.x.allowed(v.r.dev) {
		return v.write(j, errs.NotExist, nil)
	}
	ctx, cancel := context.WithTimeout(v.ctx, loadTimeout)
	buf := loads.get()
	defer loads.put(buf) // when it is written
	defer cancel()
	b, err := v.load(ctx, q, buf[:])
	if err != nil || len(b.Bytes) > blocks.MaxSealed {
		if !errs.Is(err, errs.NotExist) {
			v.x.log.Debug("exchange: block not served", "block", q.digests[0].Short(), "err", err)
		}
		return v.write(j, errs.NotExist, nil)
	}
	body, count, bytes := b.Bytes, 1, len(b.Bytes)
	if q.kind == kindWalk {
		out := loads.get()
		defer loads.put(out)
		body, count, bytes = v.bundle(ctx, b, q.next, out[:0])
	}
	if err := v.write(j, 0, body); err != nil {
		return err
	}
	v.r.tally.out(count, bytes)
	v.x.totals.out(count, bytes)
	return nil
}

// loadSize is enough for most blocks, of which the usual one has half as much.
const loadSize = 512 << 10

var loads = make(pool, 4)

// pool keeps a few buffers for good. What a sync.Pool keeps is gone after a while, and memory that is used for the first
// time costs the first answer milliseconds.
type pool chan *[loadSize]byte

func (p pool) get() *[loadSize]byte {
	select {
	case b := <-p:
		return b
	default:
		return new([loadSize]byte)
	}
}

func (p pool) put(b *[loadSize]byte) {
	select {
	case p <- b:
	default:
	}
}

// reuser is a store that reads into memory of the caller's where that is large enough.
type reuser interface {
	GetBlockInto(ctx context.Context, d blocks.Digest, buf []byte) (blocks.Sealed, error)
}

// parter is a store that need not read all of a block for a part of it.
type parter interface {
	GetPart(ctx context.Context, d blocks.Digest, p blocks.Span, into func(n int) []byte) ([]byte, error)
}

// load reads a block, or the part of one that is asked for.
func (v *service) load(ctx context.Context, q question, buf []byte) (blocks.Sealed, error) {
	d := q.digests[0]
	if s, ok := v.x.cfg.Store.(parter); ok && q.kind == kindPart {
		b, err := s.GetPart(ctx, d, q.part, func(n int) []byte {
			if n > len(buf) {
				return make([]byte, 0, n)
			}
			return buf[:0]
		})
		return blocks.Sealed{Digest: d, Bytes: b}, err
	}
	b, err := v.loadBlock(ctx, d, buf)
	if err == nil && q.kind == kindPart {
		b.Bytes, err = b.AppendPart(nil, q.part)
	}
	return b, err
}

func (v *service) loadBlock(ctx context.Context, d blocks.Digest, buf []byte) (blocks.Sealed, error) {
	if s, ok := v.x.cfg.Store.(reuser); ok {
		return s.GetBlockInto(ctx, d, buf)
	}
	return v.x.cfg.Store.GetBlock(ctx, d)
}

func (v *service) answerHave(j *job, q question) error {
	out := make([]byte, len(q.digests))
	if k := v.x.cfg.Keeper; k != nil && v.x.allowed(v.r.dev) {
		for i, c := range k.Classes(q.digests) {
			out[i] = byte(c)
		}
	}
	return v.write(j, 0, out)
}

func (v *service) answerRelease(j *job, q question) error {
	out := make([]byte, 0, q.items())
	if k := v.x.cfg.Keeper; k != nil && v.x.allowed(v.r.dev) {
		for _, granted := range k.Grant(v.r.dev, q.leaves) {
			for _, yes := range granted {
				answer := byte(0)
				if yes {
					answer = 1
				}
				out = append(out, answer)
			}
		}
	}
	return v.write(j, 0, append(out, make([]byte, q.items()-len(out))...))
}

var scratch = sync.Pool{New: func() any { return new([piece]byte) }}

// write sends one answer in pieces, and lets pass before each of them what is more urgent.
func (v *service) write(j *job, status errs.Kind, body []byte) error {
	if err := v.takeTurn(j); err != nil {
		return err
	}
	defer v.endTurn()
	head := answerHead(status, j.q.id, len(body))
	took, err := v.clear(j, min(len(body), piece-len(head)))
	if err != nil {
		return err
	}
	first := scratch.Get().(*[piece]byte)
	n := copy(first[:], head[:])
	n += copy(first[n:], body[:took])
	err = v.writePiece(first[:n])
	scratch.Put(first)
	for body = body[took:]; err == nil && len(body) > 0; body = body[took:] {
		if took, err = v.clear(j, min(len(body), piece)); err == nil {
			err = v.writePiece(body[:took])
		}
	}
	return err
}

func (v *service) writePiece(b []byte) error {
	if err := v.s.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := v.s.Write(b)
	return err
}
