package fetch_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
)

var (
	simSeeds = flag.Int("fetch.seeds", 300, "how many random worlds TestRandomWorlds plays")
	simFirst = flag.Uint64("fetch.first", 1, "the seed of the first of them")
)

// Random devices, ways, changes and wishes: whatever happens, the rules hold at every decision, and everything
// that is wanted comes. A failure names its seed; play it again with -fetch.first N -fetch.seeds 1.
func TestRandomWorlds(t *testing.T) {
	for seed := *simFirst; seed < *simFirst+uint64(*simSeeds); seed++ {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { playRandom(t, seed) }) {
			return
		}
	}
}

const (
	simBlock = 16 * kib
	fileLen  = 24 // blocks
)

// files are blocks made once for all worlds.
var files = sync.OnceValue(func() (all [][]blocks.Sealed) {
	rnd := rand.NewChaCha8([32]byte{4})
	for range 8 {
		var f []blocks.Sealed
		for range fileLen {
			b := make([]byte, simBlock)
			_, _ = rnd.Read(b)
			f = append(f, blocks.New(b))
		}
		all = append(all, f)
	}
	return all
})

// random is one random world.
type random struct {
	*network
	t      *testing.T
	rnd    *rand.Rand
	files  [][]blocks.Digest
	fileOf map[blocks.Digest]int
	has    []map[blocks.Digest]bool
	steady []bool          // never changes, never fails
	told   [][]bool        // device, file: it answered that it has not some of it
	asked  map[asking]bool // ever
	lied   map[asking]bool
	hedged int
	missed int
}

type asking struct {
	dev   int
	block blocks.Digest
}

func playRandom(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 77))
	devices := 2 + rnd.IntN(7)
	if seed%50 == 0 {
		devices = 100 + rnd.IntN(150)
	}
	limits := fetch.Limits{InFlightBytes: mib, UrgentBytes: 8 * mib, OnDemand: 20 * time.Second}
	r := &random{rnd: rnd, fileOf: map[blocks.Digest]int{}, asked: map[asking]bool{}, lied: map[asking]bool{}}
	var ways []way
	for i := range devices {
		w, steady := randomWay(rnd, i == 0)
		ways, r.steady = append(ways, w), append(r.steady, steady)
	}
	simulate(t, seed, ways, limits, func(t *testing.T, n *network) {
		r.t, r.network = t, n
		r.fill()
		n.mu.Lock()
		n.onAsk = r.judge
		n.onAnswer = r.note
		n.mu.Unlock()
		done := make(chan struct{})
		var events sync.WaitGroup
		events.Go(func() { r.events(done) })
		r.wishes()
		close(done)
		events.Wait()
		r.sum(limits)
	})
}

// randomWay is a random way; to the first device a good one, and it is steady.
func randomWay(rnd *rand.Rand, first bool) (w way, steady bool) {
	ms := func(least, most int) time.Duration {
		return time.Duration(least*1000+rnd.IntN((most-least)*1000)) * time.Microsecond
	}
	switch w.path = []fetch.Path{fetch.LAN, fetch.LAN, fetch.Direct, fetch.Relay}[rnd.IntN(4)]; w.path {
	case fetch.LAN:
		w.rtt, w.rate = ms(1, 8), int64(2*mib+rnd.IntN(20*mib))
	case fetch.Direct:
		w.rtt, w.rate = ms(10, 80), int64(mib+rnd.IntN(8*mib))
	default:
		w.rtt, w.rate = ms(40, 200), int64(mib/2+rnd.IntN(mib))
	}
	w.slow = time.Duration(rnd.IntN(int(w.rtt)))
	if first || rnd.IntN(3) == 0 {
		return w, true
	}
	for range 2 {
		switch rnd.IntN(6) {
		case 0:
			w.lost = rnd.Float64() / 4
		case 1:
			w.lies = rnd.Float64() / 2
		case 2:
			w.tail, w.tailBy = rnd.Float64()/5, ms(100, 4000)
		case 3:
			w.asleep = true
		}
	}
	return w, false
}

// fill says who has what: the first device everything, the others some files, or parts of them.
func (r *random) fill() {
	for f, file := range files()[:3+r.rnd.IntN(6)] {
		var ds []blocks.Digest
		for _, b := range file {
			r.bodies[b.Digest] = b.Bytes
			r.fileOf[b.Digest] = f
			ds = append(ds, b.Digest)
		}
		r.files = append(r.files, ds)
	}
	for i, p := range r.peers {
		has := map[blocks.Digest]bool{}
		for _, file := range r.files {
			share := []float64{0, 0, 1, 1, 0.5}[r.rnd.IntN(5)]
			for _, d := range file {
				has[d] = i == 0 || r.rnd.Float64() < share
			}
		}
		r.has = append(r.has, has)
		p.has = func(d blocks.Digest) bool { return has[d] }
		r.told = append(r.told, make([]bool, len(r.files)))
	}
}

// holders are the devices that have a file whole; sometimes there is a wrong one among them.
func (r *random) holders(f int, rnd *rand.Rand) (out []ident.DeviceID) {
	for i, has := range r.has {
		whole := !slices.ContainsFunc(r.files[f], func(d blocks.Digest) bool { return !has[d] })
		if whole || rnd.IntN(20) == 0 {
			out = append(out, r.peers[i].id)
		}
	}
	return out
}

// events changes the ways to devices that are not steady.
func (r *random) events(done chan struct{}) {
	rnd := rand.New(rand.NewPCG(r.seed, 78))
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(50+rnd.IntN(500)) * time.Millisecond):
		}
		i := rnd.IntN(len(r.peers))
		if r.steady[i] {
			continue
		}
		switch rnd.IntN(5) {
		case 0, 1:
			r.connect(i, !r.connected(i))
		case 2:
			w, _ := randomWay(rnd, false)
			r.set(i, func(old *way) { *old = w })
		case 3:
			r.set(i, func(w *way) { w.asleep = !w.asleep })
		case 4:
			r.set(i, func(w *way) { w.rate = max(w.rate/10, 64*kib) })
		}
	}
}

// wishes are what programs want, all at the same time; it returns when all has come.
func (r *random) wishes() {
	var wg sync.WaitGroup
	for f := range r.files {
		rnd := rand.New(rand.NewPCG(r.seed, 100+uint64(f)))
		g := r.fetcher.Group()
		if rnd.IntN(2) == 0 {
			g = r.fetcher.Group(r.holders(f, rnd)...)
		}
		wg.Go(func() {
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
			switch rnd.IntN(5) {
			case 0:
				r.read(g, f)
			case 1:
				r.readSome(f, rnd)
			case 2:
				ctx, cancel := context.WithTimeout(r.t.Context(), time.Duration(rnd.IntN(1000))*time.Millisecond)
				defer cancel()
				_ = g.FetchAll(ctx, fetch.Pin, slices.Values(r.files[f]), func(blocks.Digest, error) {})
			default:
				prio := fetch.Pin + fetch.Priority(rnd.IntN(3))
				err := g.FetchAll(r.t.Context(), prio, slices.Values(r.files[f]), func(_ blocks.Digest, err error) {
					if err != nil {
						r.t.Errorf("file %d at %v: %v", f, prio, err)
					}
				})
				if err != nil {
					r.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// maxWait is more than any reader waits while one device is steady.
const maxWait = 10 * time.Second

func (r *random) get(g *fetch.Group, d blocks.Digest) {
	start := time.Now()
	if _, err := g.Get(r.t.Context(), d, fetch.OnDemand); err != nil || time.Since(start) > maxWait {
		r.t.Errorf("a reader: %v after %v; asked for it were%s", err, time.Since(start), r.trail(d))
	}
}

// read reads a file in order, with read-ahead.
func (r *random) read(g *fetch.Group, f int) {
	for i, d := range r.files[f] {
		if i%6 == 0 {
			defer g.Want(fetch.ReadAhead, r.files[f][i:min(i+12, fileLen)]...).Cancel()
		}
		r.get(g, d)
	}
}

// readSome reads blocks of a file of which the fetcher is not told that they belong together.
func (r *random) readSome(f int, rnd *rand.Rand) {
	var wg sync.WaitGroup
	for _, i := range rnd.Perm(fileLen)[:fileLen/2] {
		prio := fetch.Priority(rnd.IntN(2))
		wg.Go(func() {
			_, err := r.fetcher.Get(r.t.Context(), r.files[f][i], prio)
			if err != nil && !errs.Is(err, errs.Offline) {
				r.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// judge looks at one decision; network.mu is held.
func (r *random) judge(a *ask) {
	k := asking{a.dev, a.block}
	if a.beside > 0 {
		r.hedged++
	}
	if a.beside > 3 {
		r.t.Errorf("%v: %d requests beside", a.at, a.beside)
	}
	if r.lied[k] {
		r.t.Errorf("%v: device %d lied about a block, and is asked for it again", a.at, a.dev)
	}
	if a.path > fetch.LAN {
		for i, p := range r.peers {
			f := r.fileOf[a.block]
			if r.steady[i] && p.way.path <= fetch.LAN && r.has[i][a.block] && !r.told[i][f] && !r.asked[asking{i, a.block}] {
				r.t.Errorf("%v: device %d is asked over %v at %v though device %d near by has the block", a.at, a.dev, a.path, a.prio, i)
			}
		}
	}
	r.asked[k] = true
}

// note takes an answer; network.mu is held.
func (r *random) note(a *ask) {
	switch {
	case errs.Is(a.err, errs.NotExist):
		r.told[a.dev][r.fileOf[a.block]] = true
		r.missed++
	case a.lie:
		r.lied[asking{a.dev, a.block}] = true
	}
}

// sum looks at the whole.
func (r *random) sum(l fetch.Limits) {
	fetched := int64(0)
	for _, p := range r.peers {
		p.mu.Lock()
		fetched += p.sent
		p.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if most := fetched/20 + 2*mib; int64(r.hedged)*simBlock > most {
		r.t.Errorf("%d blocks were asked for twice, %d bytes fetched", r.hedged, fetched)
	}
	if r.most[0] > l.UrgentBytes || r.most[1] > 2*l.InFlightBytes {
		r.t.Errorf("%d bytes at once for readers, %d for the rest", r.most[0], r.most[1])
	}
	if most := 8 * len(r.peers) * len(r.files); r.missed > most {
		r.t.Errorf("%d questions in vain", r.missed)
	}
}
