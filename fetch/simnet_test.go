package fetch_test

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

// The simulated network of these tests: devices are Sources in virtual time, and everything that the fetcher
// asks of them is logged, so that tests can judge its decisions and not only what comes of them. What chance
// decides depends on the seed, the device, the block and how often it was asked for, not on the order in which
// goroutines run.

// way is how it is to ask a device.
type way struct {
	path fetch.Path
	rtt  time.Duration
	rate int64         // bytes/s that it sends; 0: no limit
	slow time.Duration // mean of the time that an answer takes besides; exponential
	tail float64       // share of the requests that take tailBy more
	lost float64       // share of the requests that break off
	lies float64       // share of the answers that are wrong

	tailBy time.Duration
	asleep bool // connected, and never answers
}

// peer is one simulated device.
type peer struct {
	net *network
	id  ident.DeviceID
	has func(blocks.Digest) bool
	mum blocks.Digest // it never answers for this one

	mu      sync.Mutex
	way     way
	asks    map[blocks.Digest]int
	queue   senders // requests whose block waits for the line
	sending bool
	sent    int64 // bytes, delivered
}

// ask is what the fetcher asked.
type ask struct {
	at       time.Duration // since the beginning
	dev      int
	block    blocks.Digest
	prio     fetch.Priority
	path     fetch.Path
	beside   int // requests for the same block under way and not given up
	ctx      context.Context
	answered time.Duration
	err      error
	lie      bool
	over     bool
}

// network is all of them.
type network struct {
	seed   uint64
	begun  time.Time
	peers  []*peer
	roster *fetch.Roster
	bodies map[blocks.Digest][]byte

	mu      sync.Mutex
	up      []bool
	seen    []time.Time
	log     []*ask
	held    [2]int64 // bytes asked for and not arrived: urgent, others
	most    [2]int64
	fetcher *fetch.Fetcher

	onAsk, onAnswer func(*ask) // with mu held; may be nil
}

// simulate runs act in virtual time with a fetcher over a network of the ways given. Every device has every
// block at first.
func simulate(t *testing.T, seed uint64, ways []way, limits fetch.Limits, act func(t *testing.T, n *network)) {
	simulatePaced(t, seed, ways, limits, func() fetch.Pacer { return nil }, act)
}

// simulatePaced is simulate with a Pacer, which is made inside.
func simulatePaced(t *testing.T, seed uint64, ways []way, limits fetch.Limits, pacer func() fetch.Pacer, act func(t *testing.T, n *network)) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{seed: seed, begun: time.Now(), bodies: map[blocks.Digest][]byte{}}
		for i, w := range ways {
			n.peers = append(n.peers, &peer{net: n, id: ident.DeviceID{byte(i), byte(i >> 8), 1}, way: w, asks: map[blocks.Digest]int{},
				has: func(blocks.Digest) bool { return true }})
			n.up, n.seen = append(n.up, true), append(n.seen, time.Time{})
		}
		n.roster = fetch.NewRoster(func(d ident.DeviceID) fetch.Source { return n.peers[int(d[0])|int(d[1])<<8] })
		n.tell()
		c := &memory{m: map[blocks.Digest]blocks.Sealed{}}
		n.fetcher = fetch.New(fetch.Config{Cache: c, Locator: n.roster, Present: c.has, Limits: limits, Pacer: pacer()})
		act(t, n)
		if err := n.fetcher.Close(); err != nil {
			t.Error(err)
		}
	})
}

// pool is blocks made once for all tests.
var pool = sync.OnceValue(func() (all []blocks.Sealed) {
	rnd := rand.NewChaCha8([32]byte{2})
	for range 12_000 {
		b := make([]byte, 64)
		_, _ = rnd.Read(b)
		all = append(all, blocks.New(b))
	}
	return all
})

// blocks makes the blocks [from, to) of the pool known.
func (n *network) blocks(from, to int) (ds []blocks.Digest) {
	for _, b := range pool()[from:to] {
		n.bodies[b.Digest] = b.Bytes
		ds = append(ds, b.Digest)
	}
	return ds
}

// big makes blocks of a size.
func (n *network) big(count, size int) (ds []blocks.Digest) {
	rnd := rand.NewChaCha8([32]byte{3, byte(size >> 16), byte(size >> 8), byte(size)})
	for range count {
		b := make([]byte, size)
		_, _ = rnd.Read(b)
		blk := blocks.New(b)
		n.bodies[blk.Digest] = blk.Bytes
		ds = append(ds, blk.Digest)
	}
	return ds
}

// tell says to the fetcher how the ways are.
func (n *network) tell() {
	n.mu.Lock()
	var all []fetch.Device
	for i, p := range n.peers {
		p.mu.Lock()
		all = append(all, fetch.Device{ID: p.id, Connected: n.up[i], Path: p.way.path, RTT: p.way.rtt, LastSeen: n.seen[i]})
		p.mu.Unlock()
	}
	n.mu.Unlock()
	n.roster.Set(all)
}

// set changes the way to a device.
func (n *network) set(i int, change func(w *way)) {
	n.peers[i].mu.Lock()
	change(&n.peers[i].way)
	n.peers[i].mu.Unlock()
	n.tell()
}

// connect takes a device off the network, or brings it back. What it was asked then breaks off.
func (n *network) connect(i int, yes bool) {
	n.mu.Lock()
	n.up[i], n.seen[i] = yes, time.Now()
	n.mu.Unlock()
	n.tell()
}

func (n *network) connected(i int) bool { n.mu.Lock(); defer n.mu.Unlock(); return n.up[i] }

// asked returns the log so far.
func (n *network) asked() []ask {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]ask, len(n.log))
	for i, a := range n.log {
		out[i] = *a
	}
	return out
}

// trail tells who was asked for a block, when, and what came of it.
func (n *network) trail(d blocks.Digest) (s string) {
	for _, a := range n.asked() {
		if a.block == d {
			s += fmt.Sprintf("\n\t%v: device %d over %v, %v, until %v: %v", a.at, a.dev, a.path, a.prio, a.answered, a.err)
		}
	}
	return s
}

// count is how often devices were asked from a time on.
func (n *network) count(since time.Duration, dev ...int) (c int) {
	for _, a := range n.asked() {
		for _, d := range dev {
			if a.dev == d && a.at >= since {
				c++
			}
		}
	}
	return c
}

func (n *network) now() time.Duration { return time.Since(n.begun) }

// chance is a source of randomness for one request.
func (p *peer) chance(d blocks.Digest, nth int) *rand.Rand {
	h := uint64(nth)<<32 | uint64(p.id[0]) | uint64(p.id[1])<<8
	for i := range 8 {
		h = h*1099511628211 ^ uint64(d[i])
	}
	return rand.New(rand.NewPCG(p.net.seed, h))
}

func (p *peer) Device() ident.DeviceID { return p.id }
func (p *peer) index() int             { return int(p.id[0]) | int(p.id[1])<<8 }

func (p *peer) Fetch(ctx context.Context, r fetch.Request) ([]byte, error) {
	p.mu.Lock()
	w, nth := p.way, p.asks[r.Digest]
	p.asks[r.Digest]++
	p.mu.Unlock()
	a := p.net.begin(ctx, p, w, r)
	b, err := p.answer(ctx, w, r, p.chance(r.Digest, nth))
	p.net.end(a, b, err)
	return b, err
}

func (n *network) begin(ctx context.Context, p *peer, w way, r fetch.Request) *ask {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := &ask{at: n.now(), dev: p.index(), block: r.Digest, prio: r.Priority, path: w.path, ctx: ctx}
	for i := len(n.log) - 1; i >= 0; i-- {
		if o := n.log[i]; o.block == a.block && !o.over && o.ctx.Err() == nil {
			a.beside++
		}
	}
	n.log = append(n.log, a)
	k := min(int(r.Priority), 1)
	n.held[k] += int64(len(n.bodies[r.Digest]))
	n.most[k] = max(n.most[k], n.held[k])
	if n.onAsk != nil {
		n.onAsk(a)
	}
	return a
}

func (n *network) end(a *ask, body []byte, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a.over, a.err, a.answered = true, err, n.now()
	a.lie = err == nil && len(body) != len(n.bodies[a.block])
	if n.onAnswer != nil {
		n.onAnswer(a)
	}
	n.held[min(int(a.prio), 1)] -= int64(len(n.bodies[a.block]))
}

func (p *peer) answer(ctx context.Context, w way, r fetch.Request, rnd *rand.Rand) ([]byte, error) {
	offline := errs.E("sim", errs.Offline, "", nil)
	think := w.rtt/2 + time.Duration(-math.Log(1-rnd.Float64())*float64(w.slow))
	if rnd.Float64() < w.tail {
		think += w.tailBy
	}
	if !pause(ctx, think) {
		return nil, ctx.Err()
	}
	if w.asleep || r.Digest == p.mum {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if !p.net.connected(p.index()) || rnd.Float64() < w.lost {
		return nil, offline
	}
	if !p.has(r.Digest) {
		if !pause(ctx, w.rtt/2) {
			return nil, ctx.Err()
		}
		return nil, errs.E("sim", errs.NotExist, "", nil)
	}
	body := p.net.bodies[r.Digest]
	if err := p.send(ctx, r, len(body)); err != nil {
		return nil, err
	}
	if !pause(ctx, w.rtt/2) {
		return nil, ctx.Err()
	}
	if !p.net.connected(p.index()) {
		return nil, offline
	}
	r.Progress.Add(uint64(len(body) - len(body)/2))
	if rnd.Float64() < w.lies {
		return []byte("a lie"), nil
	}
	p.mu.Lock()
	p.sent += int64(len(body))
	p.mu.Unlock()
	if r.Room != nil {
		return append(r.Room(len(body)), body...), nil
	}
	return body, nil
}

// sender is a request whose block waits for the line; the most urgent goes first.
type sender struct {
	prio  fetch.Priority
	seq   int
	ready chan struct{}
	index int
}

// send holds the line for as long as n bytes take.
func (p *peer) send(ctx context.Context, r fetch.Request, n int) error {
	p.mu.Lock()
	s := &sender{prio: r.Priority, seq: len(p.asks), ready: make(chan struct{})}
	if p.sending {
		heap.Push(&p.queue, s)
	} else {
		p.sending = true
		close(s.ready)
	}
	p.mu.Unlock()
	defer p.next(s)
	for waiting := true; waiting; {
		select {
		case <-s.ready:
			waiting = false
		case prio := <-r.Raise:
			p.mu.Lock()
			if s.prio = prio; s.index >= 0 && s.index < len(p.queue) && p.queue[s.index] == s {
				heap.Fix(&p.queue, s.index)
			}
			p.mu.Unlock()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for half := range 2 {
		p.mu.Lock()
		rate := p.way.rate
		p.mu.Unlock()
		if rate > 0 && !pause(ctx, time.Duration(int64(n/2)*int64(time.Second)/rate)) {
			return ctx.Err()
		}
		if half == 0 {
			r.Progress.Add(uint64(n / 2))
		}
	}
	return nil
}

// next lets the next block onto the line, if s was on it.
func (p *peer) next(s *sender) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-s.ready:
	default:
		heap.Remove(&p.queue, s.index)
		return
	}
	if p.sending = len(p.queue) > 0; p.sending {
		close(heap.Pop(&p.queue).(*sender).ready)
	}
}

type senders []*sender

func (q senders) Len() int { return len(q) }
func (q senders) Less(i, j int) bool {
	return q[i].prio < q[j].prio || q[i].prio == q[j].prio && q[i].seq < q[j].seq
}
func (q senders) Swap(i, j int) { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }
func (q *senders) Push(x any)   { s := x.(*sender); s.index = len(*q); *q = append(*q, s) }
func (q *senders) Pop() any {
	old := *q
	s := old[len(old)-1]
	*q = old[:len(old)-1]
	return s
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
