package fetch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
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

// place is one device with everything but keys and disks.
type place struct {
	*fetch.Fetcher
	id    ident.DeviceID
	cache *memory
	x     *exchange.Exchange
}

// world is some places on a network in memory.
type world struct {
	net    *simnet.Net
	places []*place
	stops  []func()
}

func newWorld(n int, link simnet.Link) *world {
	w := &world{net: simnet.New(link)}
	for i := range n {
		w.net.Host(ident.DeviceID{byte(i + 1)})
	}
	for i := range n {
		w.add(ident.DeviceID{byte(i + 1)}, n)
	}
	return w
}

func (w *world) add(id ident.DeviceID, n int) {
	host := w.net.Host(id)
	p := &place{id: id, cache: &memory{m: map[blocks.Digest]blocks.Sealed{}}}
	p.x = exchange.New(exchange.Config{Network: host, Store: p.cache})
	roster := fetch.NewRoster(p.x.Source)
	devices := map[ident.DeviceID]fetch.Device{}
	for i := range n {
		if d := (ident.DeviceID{byte(i + 1)}); d != id {
			devices[d] = fetch.Device{ID: d, Path: fetch.LAN, RTT: time.Millisecond}
		}
	}
	set := func() {
		var all []fetch.Device
		for _, d := range devices {
			all = append(all, d)
		}
		slices.SortFunc(all, func(a, b fetch.Device) int { return slices.Compare(a.ID[:], b.ID[:]) })
		roster.Set(all)
	}
	set()
	events, stop := host.Subscribe()
	go func() {
		for e := range events {
			d := devices[e.Device]
			d.Connected, d.LastSeen = e.Connected, time.Now()
			devices[e.Device] = d
			set()
		}
	}()
	p.Fetcher = fetch.New(fetch.Config{Cache: p.cache, Locator: roster, Present: p.cache.has})
	w.places = append(w.places, p)
	w.stops = append(w.stops, stop, func() { _ = p.Close() }, func() { _ = p.x.Close() })
}

func (w *world) close() {
	for _, stop := range w.stops {
		stop()
	}
}

// put makes n blocks and puts them on some places.
func (w *world) put(n, size int, on ...int) []blocks.Digest {
	rnd := rand.NewChaCha8([32]byte{byte(n), byte(size), byte(len(w.places))})
	ds := make([]blocks.Digest, n)
	for i := range ds {
		b := make([]byte, size)
		_, _ = rnd.Read(b)
		blk := blocks.New(b)
		ds[i] = blk.Digest
		for _, p := range on {
			w.places[p].cache.m[blk.Digest] = blk
		}
	}
	return ds
}

// A reader is served at once while a pin of everything runs over a slow line.
func TestAReaderOvertakesAPinOverASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2, simnet.Link{Latency: 10 * time.Millisecond, Bandwidth: 2 << 20})
		synctest.Wait()
		all := w.put(400, 256<<10, 1)
		here := w.places[0]
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_ = here.FetchAll(ctx, fetch.Pin, slices.Values(all[100:]), func(blocks.Digest, error) {})
		}()
		time.Sleep(5 * time.Second)
		var worst time.Duration
		for _, d := range []int{0, 1, 399, 2, 398, 3} { // some are pinned too
			start := time.Now()
			if _, err := here.GetBlock(t.Context(), all[d]); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, time.Since(start))
			time.Sleep(500 * time.Millisecond)
		}
		// 128 ms for its own bytes, 20 for the way, and a little that was on the wire.
		if worst > 250*time.Millisecond {
			t.Errorf("a reader waited %v", worst)
		}
		cancel()
		w.close()
	})
}

// A sequential reader with read-ahead gets what the line carries, and each block crosses it once.
func TestReadAheadFillsALongLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2, simnet.Link{Latency: 50 * time.Millisecond, Bandwidth: 20 << 20})
		synctest.Wait()
		all := w.put(256, 256<<10, 1)
		here := w.places[0]
		const window = 32
		start := time.Now()
		for i, d := range all {
			if i%8 == 0 && i+window <= len(all) {
				here.Ahead(all[i+1 : i+window]...)
			}
			if _, err := here.GetBlock(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(start)
		t.Logf("64 MiB at 20 MiB/s over 100 ms in %v", took)
		if took > 4500*time.Millisecond {
			t.Errorf("64 MiB at 20 MiB/s took %v", took)
		}
		synctest.Wait()
		if n := w.places[1].x.Totals().BlocksOut; n != 256 {
			t.Errorf("%d blocks crossed for 256", n)
		}
		w.close()
	})
}

// Blocks come from all who have them, and the loss of one on the way costs nothing but time.
func TestADeviceVanishesOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(3, simnet.Link{Latency: time.Millisecond, Bandwidth: 10 << 20})
		synctest.Wait()
		all := w.put(200, 256<<10, 1, 2)
		go func() { time.Sleep(time.Second); w.net.Down(w.places[1].id) }()
		n := 0
		err := w.places[0].FetchAll(t.Context(), fetch.Pin, slices.Values(all), func(_ blocks.Digest, err error) {
			if err != nil {
				t.Error(err)
			}
			n++
		})
		if err != nil || n != 200 {
			t.Error(n, err)
		}
		if w.places[1].x.Totals().BlocksOut < 20 || w.places[2].x.Totals().BlocksOut < 20 {
			t.Error("not both were asked")
		}
		w.net.Down(w.places[2].id)
		start := time.Now()
		more := w.put(1, 1000, 2)
		if _, err := w.places[0].GetBlock(t.Context(), more[0]); !errs.Is(err, errs.Offline) || time.Since(start) > 3*time.Second {
			t.Error(err, time.Since(start))
		}
		w.close()
	})
}

// The only device that has the blocks goes away again and again; nothing is lost, nobody sees an error.
func TestAnUnreliableLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2, simnet.Link{Latency: 5 * time.Millisecond, Bandwidth: 4 << 20})
		synctest.Wait()
		all := w.put(64, 256<<10, 1)
		rnd := rand.New(rand.NewPCG(1, 2))
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Duration(500+rnd.IntN(1500)) * time.Millisecond):
				}
				if rnd.IntN(2) == 0 {
					w.net.Break(w.places[0].id, w.places[1].id)
					continue
				}
				w.net.Down(w.places[1].id)
				time.Sleep(time.Duration(rnd.IntN(900)) * time.Millisecond)
				w.net.Up(w.places[1].id)
			}
		})
		for _, d := range all {
			if _, err := w.places[0].GetBlock(t.Context(), d); err != nil {
				t.Error(err)
			}
		}
		close(done)
		wg.Wait()
		w.close()
	})
}

// Grace is counted anew for each loss, for blocks too that wait in a queue all the time.
func TestPinsOutliveManyLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2, simnet.Link{Latency: 5 * time.Millisecond, Bandwidth: 4 << 20})
		synctest.Wait()
		all := w.put(200, 256<<10, 1)
		done := make(chan struct{})
		go func() {
			for range 8 {
				time.Sleep(1500 * time.Millisecond)
				w.net.Down(w.places[1].id)
				time.Sleep(1500 * time.Millisecond)
				w.net.Up(w.places[1].id)
			}
			close(done)
		}()
		_ = w.places[0].FetchAll(t.Context(), fetch.Pin, slices.Values(all), func(_ blocks.Digest, err error) {
			if err != nil {
				t.Error(err)
			}
		})
		<-done
		w.close()
	})
}

func TestWhyTellsWhatIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(3, simnet.Link{Latency: time.Millisecond})
		synctest.Wait()
		all := w.put(1, 1000, 2)
		w.net.SetLink(w.places[0].id, w.places[2].id, simnet.Link{Stalled: true})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		go func() { _, _ = w.places[0].GetBlock(ctx, all[0]) }()
		time.Sleep(2500 * time.Millisecond)
		want := fmt.Sprintf("asking %s; 0 bytes so far; not on %s, for 2.5s", w.places[2].id.Short(), w.places[1].id.Short())
		if why := w.places[0].Why(all[0]); why != want {
			t.Errorf("%q, want %q", why, want)
		}
		time.Sleep(10 * time.Second)
		if why := w.places[0].Why(all[0]); why != "" {
			t.Errorf("%q when nobody waits", why)
		}
		w.close()
	})
}
