package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/simnet"
)

var (
	alice = ident.DeviceID{1}
	bob   = ident.DeviceID{2}
)

// store is a blocks.Getter that counts what it is asked.
type store struct {
	mu    sync.Mutex
	m     map[blocks.Digest]blocks.Sealed
	reads int
}

func (s *store) GetBlock(_ context.Context, d blocks.Digest) (blocks.Sealed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if b, ok := s.m[d]; ok {
		return b, nil
	}
	return blocks.Sealed{}, errs.E("store", errs.NotExist, d.Short(), nil)
}

// fill returns a store of n blocks of a size, and their digests.
func fill(n, size int) (*store, []blocks.Digest) {
	s, ds := &store{m: map[blocks.Digest]blocks.Sealed{}}, make([]blocks.Digest, n)
	rnd := rand.NewChaCha8([32]byte{byte(n), byte(size)})
	for i := range n {
		b := make([]byte, size)
		_, _ = rnd.Read(b)
		blk := blocks.New(b)
		s.m[blk.Digest], ds[i] = blk, blk.Digest
	}
	return s, ds
}

// two is alice, who asks, and bob, who serves.
type two struct {
	net        *simnet.Net
	alice, bob *exchange.Exchange
	store      *store
	digests    []blocks.Digest
}

// run plays a scene in virtual time. At its end no goroutine may be left (synctest sees to it).
func run(t *testing.T, link simnet.Link, n, size int, cfg exchange.Config, scene func(t *testing.T, w *two)) {
	synctest.Test(t, func(t *testing.T) {
		w := &two{net: simnet.New(link)}
		w.store, w.digests = fill(n, size)
		cfg.Network, cfg.Store = w.net.Host(bob), w.store
		w.bob = exchange.New(cfg)
		empty, _ := fill(0, 0)
		w.alice = exchange.New(exchange.Config{Network: w.net.Host(alice), Store: empty})
		scene(t, w)
		for _, x := range []*exchange.Exchange{w.alice, w.bob} {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func (w *two) get(ctx context.Context, d blocks.Digest, p fetch.Priority) ([]byte, error) {
	return w.alice.Source(bob).Fetch(ctx, fetch.Request{Digest: d, Priority: p})
}

func TestBlocksCross(t *testing.T) {
	for _, size := range []int{0, 1, 100, 64 << 10, 64<<10 - 12, 300_000, blocks.MaxSealed} {
		run(t, simnet.Link{Latency: time.Millisecond}, 2, size, exchange.Config{}, func(t *testing.T, w *two) {
			var progress atomic.Uint64
			b, err := w.alice.Source(bob).Fetch(t.Context(), fetch.Request{Digest: w.digests[0], Priority: fetch.Pin, Progress: &progress})
			if err != nil || blocks.Sum(b) != w.digests[0] || progress.Load() != uint64(size) {
				t.Fatal(len(b), err, progress.Load())
			}
			if _, err := w.get(t.Context(), blocks.Digest{9}, fetch.OnDemand); !errs.Is(err, errs.NotExist) {
				t.Error("unknown block:", err)
			}
			want := exchange.Counters{BlocksIn: 1, BytesIn: uint64(size)}
			if got := w.alice.Totals(); got != want || w.alice.With(bob) != want {
				t.Errorf("counters %+v", got)
			}
			synctest.Wait()
			want = exchange.Counters{BlocksOut: 1, BytesOut: uint64(size)}
			if got := w.bob.Totals(); got != want || w.bob.With(alice) != want {
				t.Errorf("counters of the server %+v", got)
			}
			if w.alice.With(ident.DeviceID{7}) != (exchange.Counters{}) {
				t.Error("counters of a device never met")
			}
		})
	}
}

func TestPartsCross(t *testing.T) {
	const size = 300_000
	run(t, simnet.Link{Latency: time.Millisecond}, 1, size, exchange.Config{}, func(t *testing.T, w *two) {
		want := w.store.m[w.digests[0]].Bytes
		ask := func(p blocks.Span) ([]byte, error) {
			return w.alice.Source(bob).Fetch(t.Context(), fetch.Request{Digest: w.digests[0], Part: p})
		}
		for _, p := range []blocks.Span{{Off: blocks.HeadLen, Len: 64 << 10}, {Off: 200_000, Len: 100_000}, {Off: size - 1, Len: 1}} {
			b, err := ask(p)
			if err != nil || !bytes.Equal(b[:blocks.HeadLen], want[:blocks.HeadLen]) || !bytes.Equal(b[blocks.HeadLen:], want[p.Off:p.Off+p.Len]) {
				t.Errorf("%+v: %d bytes, %v", p, len(b), err)
			}
		}
		if got := w.alice.Totals(); got != (exchange.Counters{BlocksIn: 3, BytesIn: 64<<10 + 100_000 + 1 + 3*blocks.HeadLen}) {
			t.Errorf("counters %+v", got)
		}
		for _, p := range []blocks.Span{{Off: 0, Len: 100}, {Off: size - 1, Len: 2}, {Off: 1 << 31, Len: 1}} {
			if _, err := ask(p); !errs.Is(err, errs.NotExist) {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
}

// Any number of blocks costs one round trip, not one each.
func TestManyQuestionsAreOneRoundTrip(t *testing.T) {
	const latency = 50 * time.Millisecond
	run(t, simnet.Link{Latency: latency}, 500, 1000, exchange.Config{}, func(t *testing.T, w *two) {
		start := time.Now()
		var wg sync.WaitGroup
		for _, d := range w.digests {
			wg.Go(func() {
				if b, err := w.get(t.Context(), d, fetch.ReadAhead); err != nil || blocks.Sum(b) != d {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 2*latency+5*time.Millisecond {
			t.Errorf("500 blocks took %v, a round trip is %v", took, 2*latency)
		}
	})
}

// Something urgent overtakes a queue that would take minutes.
func TestUrgentOvertakesBulk(t *testing.T) {
	link := simnet.Link{Latency: 10 * time.Millisecond, Bandwidth: 1 << 20}
	run(t, link, 201, 512<<10, exchange.Config{}, func(t *testing.T, w *two) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, d := range w.digests[1:] {
			wg.Go(func() { _, _ = w.get(ctx, d, fetch.Pin) })
		}
		time.Sleep(5 * time.Second)
		start := time.Now()
		if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); err != nil {
			t.Fatal(err)
		}
		// 512 KiB at 1 MiB/s are 500 ms; beyond that only what was on its way already.
		if took := time.Since(start); took > 700*time.Millisecond {
			t.Errorf("urgent block took %v", took)
		}
		cancel()
		wg.Wait()
	})
}

// A question that becomes urgent overtakes the others of its own stream, and is not served twice.
func TestRaisedQuestionOvertakes(t *testing.T) {
	link := simnet.Link{Latency: 10 * time.Millisecond, Bandwidth: 1 << 20}
	run(t, link, 200, 512<<10, exchange.Config{}, func(t *testing.T, w *two) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, d := range w.digests[1:] {
			wg.Go(func() { _, _ = w.get(ctx, d, fetch.Background) })
		}
		time.Sleep(time.Second)
		raise := make(chan fetch.Priority, 1)
		go func() { time.Sleep(time.Second); raise <- fetch.OnDemand }()
		start := time.Now()
		_, err := w.alice.Source(bob).Fetch(t.Context(), fetch.Request{Digest: w.digests[0], Priority: fetch.Background, Raise: raise})
		// One second until it is raised, half a one for the block before it, half a one for itself.
		if took := time.Since(start); err != nil || took > 2200*time.Millisecond {
			t.Errorf("raised block took %v, %v", took, err)
		}
		cancel()
		wg.Wait()
		time.Sleep(3 * time.Second)
		if n := w.bob.Totals().BlocksOut; n > 9 {
			t.Errorf("%d blocks sent", n)
		}
	})
}

func TestCancelledQuestionsAreNotServed(t *testing.T) {
	link := simnet.Link{Latency: time.Millisecond, Bandwidth: 1 << 20}
	run(t, link, 100, 1<<20, exchange.Config{}, func(t *testing.T, w *two) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		for _, d := range w.digests {
			wg.Go(func() { _, _ = w.get(ctx, d, fetch.Background) })
		}
		wg.Wait()
		time.Sleep(5 * time.Second) // what was under way ends
		w.store.mu.Lock()
		reads := w.store.reads
		w.store.mu.Unlock()
		if reads > 5 {
			t.Errorf("%d blocks read for nobody", reads)
		}
		if _, err := w.get(t.Context(), w.digests[99], fetch.Background); err != nil {
			t.Error("the lane after cancels:", err)
		}
	})
}

type keeper struct{}

func (keeper) Classes(ds []blocks.Digest) []exchange.Class {
	out := make([]exchange.Class, len(ds))
	for i, d := range ds {
		out[i] = exchange.Class(d[0] % 4)
	}
	return out
}

func (keeper) Grant(asker ident.DeviceID, ls []exchange.Leave) [][]bool {
	out := make([][]bool, len(ls))
	for i, l := range ls {
		for _, d := range l.Blocks {
			out[i] = append(out[i], asker == alice && l.Node[0] == 5 && d[0]%2 == 1)
		}
	}
	return out
}

func TestHaveAndRelease(t *testing.T) {
	ds := make([]blocks.Digest, 5000) // more than one message holds
	for i := range ds {
		ds[i] = blocks.Digest{byte(i), byte(i >> 8)}
	}
	run(t, simnet.Link{}, 0, 0, exchange.Config{Keeper: keeper{}}, func(t *testing.T, w *two) {
		classes, err := w.alice.Have(t.Context(), bob, ds)
		if err != nil || len(classes) != len(ds) || classes[6] != exchange.Pinned || classes[4100] != exchange.None {
			t.Fatal(len(classes), err)
		}
		all, err := w.alice.Release(t.Context(), bob, []exchange.Leave{{Node: [16]byte{4}, Blocks: ds[:100]}, {Node: [16]byte{5}}, {Node: [16]byte{5}, Blocks: ds}, {Node: [16]byte{5}, Blocks: ds[1:2]}})
		if err != nil || len(all) != 4 || len(all[0]) != 100 || len(all[1]) != 0 || len(all[2]) != len(ds) || len(all[3]) != 1 {
			t.Fatal(len(all), err)
		}
		if granted := all[2]; granted[6] || !granted[4999] || all[0][1] || !all[3][0] {
			t.Fatal("granted is something else than the keeper did")
		}
	})
	run(t, simnet.Link{}, 0, 0, exchange.Config{}, func(t *testing.T, w *two) {
		granted, err := w.alice.Release(t.Context(), bob, []exchange.Leave{{Node: [16]byte{5}, Blocks: ds[:3]}})
		if err != nil || granted[0][1] {
			t.Error("granted without a keeper:", granted, err)
		}
	})
}

// A device that is not allowed cannot tell what is here; one that is shut out in the middle gets no more.
func TestOnlyTheAllowedAreServed(t *testing.T) {
	var allowed atomic.Bool
	cfg := exchange.Config{Keeper: keeper{}, Allow: func(d ident.DeviceID) bool { return d == alice && allowed.Load() }}
	run(t, simnet.Link{}, 1, 10, cfg, func(t *testing.T, w *two) {
		if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); !errs.Is(err, errs.Offline) {
			t.Error("stranger:", err)
		}
		allowed.Store(true)
		if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); err != nil {
			t.Error("member:", err)
		}
		if cs, err := w.alice.Have(t.Context(), bob, []blocks.Digest{{2}}); err != nil || cs[0] != exchange.Pinned {
			t.Error(cs, err)
		}
		allowed.Store(false)
		if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); !errs.Is(err, errs.NotExist) {
			t.Error("shut out:", err)
		}
		if cs, err := w.alice.Have(t.Context(), bob, []blocks.Digest{{2}}); err == nil && cs[0] != exchange.None {
			t.Error("shut out, but told what is here")
		}
	})
}

func TestLostConnection(t *testing.T) {
	link := simnet.Link{Latency: time.Millisecond, Bandwidth: 1 << 20}
	run(t, link, 4, 1<<20, exchange.Config{}, func(t *testing.T, w *two) {
		go func() { time.Sleep(500 * time.Millisecond); w.net.Partition(alice, bob) }()
		start := time.Now()
		if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); !errs.Is(err, errs.Offline) || time.Since(start) > 510*time.Millisecond {
			t.Error("cut:", err, time.Since(start))
		}
		if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); !errs.Is(err, errs.Offline) {
			t.Error("while cut:", err)
		}
		w.net.Heal(alice, bob)
		if b, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); err != nil || !bytes.Equal(b, w.store.m[w.digests[0]].Bytes) {
			t.Error("healed:", err)
		}
	})
}

// mute is a network on which nobody answers.
type mute struct{ *simnet.Host }

func (mute) Open(ctx context.Context, _ ident.DeviceID, _ string) (exchange.Stream, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestSilentAndSlowPeers(t *testing.T) {
	link := simnet.Link{Latency: time.Millisecond}
	for _, c := range []struct {
		name string
		link simnet.Link
		min  time.Duration
	}{
		{"silent", simnet.Link{Stalled: true}, 25 * time.Second},
		{"slower than 1 KiB/s", simnet.Link{Bandwidth: 500}, 25 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, link, 2, 1<<20, exchange.Config{}, func(t *testing.T, w *two) {
				if _, err := w.get(t.Context(), w.digests[0], fetch.Pin); err != nil {
					t.Fatal(err)
				}
				w.net.SetLink(alice, bob, c.link)
				start := time.Now()
				_, err := w.get(t.Context(), w.digests[1], fetch.Pin)
				if took := time.Since(start); !(errs.Is(err, errs.Timeout) || errs.Is(err, errs.Offline)) || took < c.min || took > 65*time.Second {
					t.Errorf("%v after %v", err, took)
				}
				w.net.SetLink(alice, bob, link)
			})
		})
	}
	t.Run("silence is told", func(t *testing.T) {
		run(t, simnet.Link{Bandwidth: 64 << 10}, 2, 1<<20, exchange.Config{}, func(t *testing.T, w *two) {
			var told []time.Duration
			start := time.Now()
			empty, _ := fill(0, 0)
			_ = w.alice.Close()
			w.alice = exchange.New(exchange.Config{Network: w.net.Host(alice), Store: empty, Silent: func(d ident.DeviceID) {
				if d == bob {
					told = append(told, time.Since(start))
				}
			}})
			if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); err != nil || len(told) != 0 {
				t.Error("slow is not silent:", err, told)
			}
			w.net.SetLink(alice, bob, simnet.Link{Stalled: true})
			start = time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, _ = w.get(ctx, w.digests[1], fetch.OnDemand)
			if len(told) < 2 || len(told) > 5 || told[0] < time.Second || told[0] > 2*time.Second {
				t.Errorf("told after %v", told)
			}
			w.net.SetLink(alice, bob, simnet.Link{})
		})
	})
	t.Run("silence is told when not even a stream opens", func(t *testing.T) {
		run(t, link, 1, 1<<20, exchange.Config{}, func(t *testing.T, w *two) {
			var told atomic.Int32
			empty, _ := fill(0, 0)
			_ = w.alice.Close()
			w.alice = exchange.New(exchange.Config{Network: mute{w.net.Host(alice)}, Store: empty, Silent: func(ident.DeviceID) { told.Add(1) }})
			ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
			defer cancel()
			if _, err := w.get(ctx, w.digests[0], fetch.OnDemand); err == nil || told.Load() != 3 {
				t.Errorf("told %d times: %v", told.Load(), err)
			}
		})
	})
	t.Run("slow but alive", func(t *testing.T) {
		run(t, simnet.Link{Bandwidth: 8 << 10}, 1, 1<<20, exchange.Config{}, func(t *testing.T, w *two) {
			if _, err := w.get(t.Context(), w.digests[0], fetch.Pin); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestClosedAndInterrupted(t *testing.T) {
	run(t, simnet.Link{Stalled: true}, 1, 10, exchange.Config{}, func(t *testing.T, w *two) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		if _, err := w.get(ctx, w.digests[0], fetch.OnDemand); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go func() { time.Sleep(time.Second); _ = w.alice.Close() }()
		if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); !errs.Is(err, errs.Closed) {
			t.Error(err)
		}
		if _, err := w.get(t.Context(), w.digests[0], fetch.OnDemand); !errs.Is(err, errs.Closed) {
			t.Error(err)
		}
	})
}
