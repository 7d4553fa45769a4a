package simnet

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// window is how many bytes a stream carries unread, and segment how many travel as one.
const (
	window  = 1 << 20
	segment = 16 << 10
)

// Stream is one end of a stream; a wire.Stream.
type Stream struct {
	net     *Net
	way     *way
	first   *Stream // the end that is registered with the way
	out, in *pipe
}

func (s *Stream) Read(b []byte) (int, error)  { return s.in.read(b) }
func (s *Stream) Write(b []byte) (int, error) { return s.out.write(b) }

// CloseWrite ends this side's bytes.
func (s *Stream) CloseWrite() error { s.out.finish(); return nil }

// Close ends this side's bytes and drops what the other still sends.
func (s *Stream) Close() error {
	s.out.finish()
	s.in.drop()
	s.forget()
	return nil
}

// Reset breaks the stream for both sides.
func (s *Stream) Reset() error {
	err := errs.E("simnet.Stream", errs.Offline, "reset", nil)
	s.out.fail(err)
	s.in.fail(err)
	s.forget()
	return nil
}

func (s *Stream) forget() {
	if s.in.ended() && s.out.ended() {
		s.net.mu.Lock()
		delete(s.way.streams, s.first)
		s.net.mu.Unlock()
	}
}

// SetDeadline is for both directions.
func (s *Stream) SetDeadline(t time.Time) error {
	s.out.setDeadline(&s.out.writeBy, t)
	s.in.setDeadline(&s.in.readBy, t)
	return nil
}

// SetReadDeadline ends Reads at t.
func (s *Stream) SetReadDeadline(t time.Time) error { s.in.setDeadline(&s.in.readBy, t); return nil }

// SetWriteDeadline ends Writes at t.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.out.setDeadline(&s.out.writeBy, t)
	return nil
}

// pipe is one direction of a stream.
type pipe struct {
	net *Net
	way *way
	dir int

	mu      sync.Mutex
	queue   []packet
	size    int
	fin     bool // the writer has ended
	deaf    bool // the reader has
	err     error
	readBy  time.Time
	writeBy time.Time
	wake    chan struct{} // closed and replaced at each change
}

type packet struct {
	b  []byte
	at time.Time // when it arrives
}

func newPipe(n *Net, w *way, dir int) *pipe {
	return &pipe{net: n, way: w, dir: dir, wake: make(chan struct{})}
}

func (p *pipe) changedLocked() { close(p.wake); p.wake = make(chan struct{}) }

func (p *pipe) touch() { p.mu.Lock(); p.changedLocked(); p.mu.Unlock() }

func (p *pipe) set(change func()) { p.mu.Lock(); change(); p.changedLocked(); p.mu.Unlock() }

func (p *pipe) finish() { p.set(func() { p.fin = true }) }
func (p *pipe) drop()   { p.set(func() { p.deaf, p.queue, p.size = true, nil, 0 }) }
func (p *pipe) fail(err error) {
	p.set(func() {
		if p.err == nil {
			p.err, p.queue, p.size = err, nil, 0
		}
	})
}
func (p *pipe) setDeadline(field *time.Time, t time.Time) { p.set(func() { *field = t }) }

func (p *pipe) ended() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.fin || p.deaf || p.err != nil }

func (p *pipe) link() Link { p.net.mu.Lock(); defer p.net.mu.Unlock(); return p.way.link }

// depart reserves the link for n bytes. It returns when they arrive, or, when the sender runs too
// far ahead of the bandwidth, how long to wait before asking again.
func (p *pipe) depart(n int) (arrive time.Time, wait time.Duration) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	now := time.Now()
	l, free := p.way.link, &p.way.free[p.dir]
	if free.Before(now) {
		*free = now
	}
	if ahead := free.Sub(now); ahead > backlog {
		return time.Time{}, ahead - backlog
	}
	if l.Bandwidth > 0 {
		*free = free.Add(time.Duration(int64(n) * int64(time.Second) / l.Bandwidth))
	}
	return free.Add(l.Latency), 0
}

func (p *pipe) write(b []byte) (int, error) {
	total := 0
	for total < len(b) {
		n := min(len(b)-total, segment)
		wake, err := p.room(n)
		if err != nil {
			return total, err
		}
		if wake != nil {
			if err := p.pause(wake, 0, &p.writeBy); err != nil {
				return total, err
			}
			continue
		}
		at, wait := p.depart(n)
		if wait > 0 {
			if err := p.pause(nil, wait, &p.writeBy); err != nil {
				return total, err
			}
			continue
		}
		p.set(func() {
			if p.err == nil && !p.deaf {
				p.queue = append(p.queue, packet{append([]byte(nil), b[total:total+n]...), at})
				p.size += n
			}
		})
		total += n
	}
	return total, nil
}

// room returns nil, nil when n bytes may be sent, or what to wait for.
func (p *pipe) room(n int) (<-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return nil, p.err
	case p.fin || p.deaf:
		return nil, errs.E("simnet.Write", errs.Closed, "", nil)
	case !p.writeBy.IsZero() && !time.Now().Before(p.writeBy):
		return nil, os.ErrDeadlineExceeded
	case p.size+n > window:
		return p.wake, nil
	}
	return nil, nil
}

func (p *pipe) read(b []byte) (int, error) {
	for {
		stalled := p.link().Stalled
		p.mu.Lock()
		wake, wait := p.wake, time.Duration(0)
		switch {
		case p.err != nil:
			p.mu.Unlock()
			return 0, p.err
		case p.deaf:
			p.mu.Unlock()
			return 0, errs.E("simnet.Read", errs.Closed, "", nil)
		case !p.readBy.IsZero() && !time.Now().Before(p.readBy):
			p.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case stalled:
		case len(p.queue) > 0:
			if wait = time.Until(p.queue[0].at); wait <= 0 {
				n := p.takeLocked(b)
				p.changedLocked()
				p.mu.Unlock()
				return n, nil
			}
		case p.fin:
			p.mu.Unlock()
			return 0, io.EOF
		}
		p.mu.Unlock()
		if err := p.pause(wake, wait, &p.readBy); err != nil {
			return 0, err
		}
	}
}

// takeLocked copies what has arrived.
func (p *pipe) takeLocked(b []byte) int {
	n, now := 0, time.Now()
	for n < len(b) && len(p.queue) > 0 && !p.queue[0].at.After(now) {
		c := copy(b[n:], p.queue[0].b)
		if n += c; c < len(p.queue[0].b) {
			p.queue[0].b = p.queue[0].b[c:]
		} else {
			p.queue = p.queue[1:]
		}
	}
	p.size -= n
	return n
}

// pause waits for a change, for a time (0: for ever) or for the deadline. A nil wake means any change.
func (p *pipe) pause(wake <-chan struct{}, wait time.Duration, by *time.Time) error {
	p.mu.Lock()
	if wake == nil {
		wake = p.wake
	}
	if !by.IsZero() {
		left := time.Until(*by)
		if left <= 0 {
			p.mu.Unlock()
			return os.ErrDeadlineExceeded
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	p.mu.Unlock()
	var timer <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-wake:
	case <-timer:
	}
	return nil
}
