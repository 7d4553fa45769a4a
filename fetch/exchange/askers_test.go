package exchange_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/fetch/exchange"
	"github.com/shelffs/shelf/internal/guest"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/simnet"
)

// asker is a device that asks bob, as many blocks at once as it likes.
type asker struct{ *exchange.Exchange }

func (a asker) ask(ctx context.Context, wg *sync.WaitGroup, ds []blocks.Digest, p fetch.Priority) {
	for _, d := range ds {
		wg.Go(func() { _, _ = a.Source(bob).Fetch(ctx, fetch.Request{Digest: d, Priority: p}) })
	}
}

// askers plays a scene with bob, who serves n devices.
func askers(t *testing.T, n int, cfg exchange.Config, scene func(t *testing.T, all []asker)) {
	net := simnet.New(simnet.Link{Latency: time.Millisecond, Bandwidth: 100 << 20})
	cfg.Network = net.Host(bob)
	server := exchange.New(cfg)
	empty, _ := fill(0, 0)
	var all []asker
	for i := range n {
		all = append(all, asker{exchange.New(exchange.Config{Network: net.Host(ident.DeviceID{100, byte(i)}), Store: empty})})
	}
	scene(t, all)
	for _, a := range all {
		_ = a.Close()
	}
	_ = server.Close()
}

// Who asks for more at once gets no more of what the server may send.
func TestAskersShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 4 << 20
		g := guest.New(guest.Config{Limits: guest.Limits{InternetUp: rate}})
		defer g.Close()
		store, digests := fill(900, 256<<10)
		askers(t, 3, exchange.Config{Store: store, Pacer: overInternet{g}}, func(t *testing.T, all []asker) {
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			all[0].ask(ctx, &wg, digests[:60], fetch.Pin)
			all[1].ask(ctx, &wg, digests[60:500], fetch.Pin)
			all[2].ask(ctx, &wg, digests[500:], fetch.Background)
			time.Sleep(10 * time.Second)
			for i, a := range all {
				if got := a.Totals().BytesIn; got < rate*10/3*8/10 || got > rate*10/3*12/10 {
					t.Errorf("asker %d got %d bytes in 10 s", i, got)
				}
			}
			cancel()
			wg.Wait()
		})
	})
}

// While somebody waits at one device, others get nothing of what nobody waits for: but not for long, if the
// block does not come soon, and not for ever, if many are read.
func TestAReaderElsewhereGoesFirst(t *testing.T) {
	for _, c := range []struct {
		what        string
		load        time.Duration // of the reader's block
		reads       int
		least, most int // KiB of the pin meanwhile
	}{
		{"a block soon", 40 * time.Millisecond, 1, 0, 1536},
		{"a block late", time.Second, 1, 80 << 10, 100 << 10},
		{"many blocks", 40 * time.Millisecond, 10, 1 << 10, 20 << 10},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, digests := fill(1100, 128<<10)
				slow := slowStore{store, digests[:c.reads], c.load}
				askers(t, 2, exchange.Config{Store: slow}, func(t *testing.T, all []asker) {
					ctx, cancel := context.WithCancel(t.Context())
					var wg sync.WaitGroup
					all[1].ask(ctx, &wg, digests[100:], fetch.Pin)
					time.Sleep(100 * time.Millisecond)
					before := all[1].Totals().BytesIn
					for _, d := range digests[:c.reads] {
						if _, err := all[0].Source(bob).Fetch(ctx, fetch.Request{Digest: d, Priority: fetch.OnDemand}); err != nil {
							t.Fatal(err)
						}
					}
					got := int(all[1].Totals().BytesIn-before) >> 10
					if got < c.least || got > c.most {
						t.Errorf("%d KiB went meanwhile", got)
					}
					cancel()
					wg.Wait()
				})
			})
		})
	}
}

// slowStore takes its time for some blocks.
type slowStore struct {
	*store
	slow []blocks.Digest
	load time.Duration
}

func (s slowStore) GetBlock(ctx context.Context, d blocks.Digest) (blocks.Sealed, error) {
	for _, x := range s.slow {
		if x == d {
			time.Sleep(s.load)
		}
	}
	return s.store.GetBlock(ctx, d)
}
