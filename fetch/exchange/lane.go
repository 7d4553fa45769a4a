package exchange

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
)

// bodyStep is how much memory an announced length may claim before its bytes arrive: a
// block of the largest usual chunk, with its seal.
const bodyStep = 1<<20 + 4<<10

// lane is one stream on which we ask.
type lane struct {
	r      *remote
	s      Stream
	onDead func()
	slots  chan struct{} // bounds the unanswered questions
	kick   chan struct{} // there is something to write
	dead   chan struct{} // closed when err is set
	watch  watch

	mu    sync.Mutex
	calls map[uint32]*call // a call that was given up stays until its answer comes
	next  uint32
	out   []byte // frames to be written
	err   error
}

// call is one unanswered question.
type call struct {
	result    chan result // capacity 1
	since     time.Time
	arriving  arriving
	most      int  // bytes of an answer
	abandoned bool // guarded by lane.mu
}

// arriving are those that hear of bytes as they arrive; each may be nil.
type arriving struct {
	progress *atomic.Uint64
	sum      *blocks.Summer
	room     func(n int) []byte // where they go; nil: into memory of their own
}

func (a arriving) take(p []byte) {
	if a.progress != nil {
		a.progress.Add(uint64(len(p)))
	}
	if a.sum != nil {
		_, _ = a.sum.Write(p)
	}
}

type result struct {
	body []byte
	err  error
}

func newLane(r *remote, s Stream, onDead func()) *lane {
	return &lane{
		r: r, s: s, onDead: onDead, calls: map[uint32]*call{},
		slots: make(chan struct{}, maxQuestions), kick: make(chan struct{}, 1), dead: make(chan struct{}),
	}
}

// start runs the lane's two goroutines; false when the exchange is closed.
func (l *lane) start() bool { return l.r.x.spawn(l.writeLoop) && l.r.x.spawn(l.readLoop) }

// ask sends a question and waits for its answer. When ctx ends first, the other side is told.
// A priority that comes from raise is passed on too.
func (l *lane) ask(ctx context.Context, q question, a arriving, raise <-chan fetch.Priority) ([]byte, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		select {
		case l.slots <- struct{}{}:
		case <-l.dead:
			return nil, l.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c := &call{result: make(chan result, 1), since: time.Now(), arriving: a, most: q.most()}
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return nil, l.err
	}
	l.next++
	q.id = l.next
	l.calls[q.id] = c
	l.out = q.appendTo(l.out)
	if len(l.calls) == 1 {
		l.watch.begin(l)
	}
	l.mu.Unlock()
	l.wake()
	for {
		select {
		case res := <-c.result:
			return res.body, res.err
		case p := <-raise:
			l.amend(c, question{kind: kindRaise, id: q.id, priority: p})
		case <-ctx.Done():
			l.amend(c, question{kind: kindCancel, id: q.id})
			return nil, ctx.Err()
		}
	}
}

// amend sends a message about a call that is not answered yet.
func (l *lane) amend(c *call, q question) {
	l.mu.Lock()
	if l.err == nil && l.calls[q.id] == c {
		if q.kind == kindCancel {
			c.abandoned, c.arriving = true, arriving{}
		}
		l.out = q.appendTo(l.out)
	}
	l.mu.Unlock()
	l.wake()
}

func (l *lane) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// writeLoop sends whatever has gathered, many questions in one write.
func (l *lane) writeLoop() {
	var spare []byte
	for {
		select {
		case <-l.dead:
			return
		case <-l.kick:
		}
		l.mu.Lock()
		buf := l.out
		l.out = spare[:0]
		l.mu.Unlock()
		if len(buf) > 0 {
			if _, err := l.s.Write(buf); err != nil {
				l.fail(broken(err))
				return
			}
		}
		spare = buf
	}
}

func (l *lane) readLoop() {
	br := bufio.NewReaderSize(l.s, 4<<10) // heads of small answers; large reads pass by it
	for {
		if err := l.readAnswer(br); err != nil {
			l.fail(broken(err))
			return
		}
	}
}

func (l *lane) readAnswer(br *bufio.Reader) error {
	status, id, n, err := readAnswerHead(br)
	if err != nil {
		return err
	}
	l.r.received.Add(headLen)
	l.mu.Lock()
	c := l.calls[id]
	var a arriving
	unwanted := c == nil
	if c != nil {
		a, unwanted = c.arriving, c.abandoned
	}
	l.mu.Unlock()
	if c == nil {
		return errs.E("exchange.readAnswer", errs.Protocol, "answer to no question", nil)
	}
	if n > c.most {
		return errs.E("exchange.readAnswer", errs.Protocol, "length", nil)
	}
	var res result
	if unwanted {
		err = l.discard(br, n)
	} else {
		res.body, err = l.readBody(br, n, a)
	}
	if err != nil {
		return err
	}
	if status != 0 {
		res = result{err: errs.E("exchange", status, l.r.dev.Short(), nil)}
	}
	l.mu.Lock()
	if l.calls[id] != c { // the lane failed meanwhile, which was its answer
		defer l.mu.Unlock()
		return l.err
	}
	delete(l.calls, id)
	l.mu.Unlock()
	c.result <- res
	<-l.slots
	return nil
}

// readBody reads n bytes into memory that was given, or of their own, which grows with what really arrives.
func (l *lane) readBody(r io.Reader, n int, a arriving) ([]byte, error) {
	var buf []byte
	if a.room != nil && n <= bodyStep {
		buf = a.room(n)
	} else {
		buf = make([]byte, 0, min(n, bodyStep))
	}
	for len(buf) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, 2*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		got, err := r.Read(buf[len(buf):min(n, cap(buf))])
		buf = buf[:len(buf)+got]
		l.r.received.Add(uint64(got))
		a.take(buf[len(buf)-got:])
		if err != nil && len(buf) < n {
			return nil, err
		}
	}
	return buf, nil
}

func (l *lane) discard(r io.Reader, n int) error {
	got, err := io.CopyN(io.Discard, r, int64(n))
	l.r.received.Add(uint64(got))
	return err
}

// fail ends the lane: every question unanswered gets err.
func (l *lane) fail(err error) {
	l.onDead() // first: who hears of it and asks again gets another lane
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	calls := l.calls
	l.calls, l.out = nil, nil
	l.mu.Unlock()
	close(l.dead)
	_ = l.s.Reset()
	for _, c := range calls {
		c.result <- result{err: err}
	}
}

// broken gives an error of the stream a kind: whatever is not said otherwise is a lost connection.
func broken(err error) error {
	if errs.KindOf(err) != errs.Other {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = nil // the other side closed
	}
	return errs.E("exchange", errs.Offline, "connection lost", err)
}

func digests(d blocks.Digest) []blocks.Digest { return []blocks.Digest{d} }
