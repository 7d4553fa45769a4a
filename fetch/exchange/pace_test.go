package exchange_test

import (
	"context"
	"sync"
	"sync/atomic"
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

// overInternet is a guest to whom every device is one over the internet.
type overInternet struct{ *guest.Guest }

func (overInternet) Way(ident.DeviceID) (fetch.Path, bool) { return fetch.Direct, true }

// limited is run with a limit on what bob sends, on a link that could do much more.
func limited(t *testing.T, rate int64, n, size int, silent func(), scene func(t *testing.T, w *two)) {
	synctest.Test(t, func(t *testing.T) {
		g := guest.New(guest.Config{Limits: guest.Limits{InternetUp: rate}})
		defer g.Close()
		w := &two{net: simnet.New(simnet.Link{Latency: 10 * time.Millisecond, Bandwidth: 100 << 20})}
		w.store, w.digests = fill(n, size)
		empty, _ := fill(0, 0)
		w.bob = exchange.New(exchange.Config{Network: w.net.Host(bob), Store: w.store, Pacer: overInternet{g}})
		w.alice = exchange.New(exchange.Config{Network: w.net.Host(alice), Store: empty, Silent: func(ident.DeviceID) { silent() }})
		scene(t, w)
		_ = w.alice.Close()
		_ = w.bob.Close()
	})
}

// What is sent keeps to the limit, and uses it, whoever asks; a reader's block goes before those of a pin.
func TestUpLimitIsKept(t *testing.T) {
	const rate, size = 1 << 20, 512 << 10
	for _, readers := range []bool{false, true} {
		limited(t, rate, 200, size, func() {}, func(t *testing.T, w *two) {
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for _, d := range w.digests[60:] {
				wg.Go(func() { _, _ = w.get(ctx, d, fetch.Pin) })
			}
			for i := range 30 {
				began := time.Now()
				if readers {
					if _, err := w.get(t.Context(), w.digests[i], fetch.OnDemand); err != nil {
						t.Fatal(err)
					}
					// Half a second at the limit, half of which goes at once: no reader has used it.
					if took := time.Since(began); took > 400*time.Millisecond {
						t.Errorf("a reader waited %v", took)
					}
				}
				time.Sleep(time.Second - time.Since(began))
				if got, most := w.alice.Totals().BytesIn, uint64(i+1)*rate+rate/4+64<<10; got > most {
					t.Fatalf("%d bytes came in %d s", got, i+1)
				}
			}
			if got := w.alice.Totals().BytesIn; got < 28*rate {
				t.Errorf("%d bytes came in half a minute", got)
			}
			cancel()
			wg.Wait()
		})
	}
}

// Readers alone keep to it, too.
func TestUpLimitHoldsForReaders(t *testing.T) {
	limited(t, 1<<20, 20, 512<<10, func() {}, func(t *testing.T, w *two) {
		began := time.Now()
		var wg sync.WaitGroup
		for i, d := range w.digests {
			r := fetch.Request{Digest: d, Priority: fetch.OnDemand}
			if i%2 == 0 { // as a manifest
				r.Along = func(blocks.Sealed) {}
			}
			wg.Go(func() { _, _ = w.alice.Source(bob).Fetch(t.Context(), r) })
		}
		wg.Wait()
		if took := time.Since(began); took < 9700*time.Millisecond || took > 10200*time.Millisecond {
			t.Errorf("10 MiB at 1 MiB/s took %v", took)
		}
	})
}

// Under the tightest limit there is, bytes still come often enough for nobody to be taken for silent; a
// block that becomes urgent is not held up by what its stream owes besides.
func TestTheTightestLimit(t *testing.T) {
	var silences atomic.Int32
	limited(t, 16<<10, 3, 256<<10, func() { silences.Add(1) }, func(t *testing.T, w *two) {
		var wg sync.WaitGroup
		var took [3]time.Duration
		begun, raise := time.Now(), make(chan fetch.Priority, 1)
		for i, d := range w.digests {
			wg.Go(func() {
				r := fetch.Request{Digest: d, Priority: fetch.Pin}
				if time.Sleep(time.Duration(i) * time.Second); i == 2 {
					r.Raise = raise
				}
				if _, err := w.alice.Source(bob).Fetch(t.Context(), r); err != nil {
					t.Error(err)
				}
				took[i] = time.Since(begun)
			})
		}
		time.Sleep(5 * time.Second)
		raise <- fetch.OnDemand
		wg.Wait()
		if took[2] > took[1] || took[2] > 33*time.Second {
			t.Errorf("the urgent one came after %v, the others after %v", took[2], took[:2])
		}
		if n := silences.Load(); n > 0 {
			t.Errorf("taken for silent %d times", n)
		}
	})
}
