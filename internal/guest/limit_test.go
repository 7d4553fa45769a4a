package guest

import (
	"testing"
	"time"

	"github.com/shelffs/shelf/fetch"
)

const (
	block = 256 << 10
	speed = 1 << 20 // of the limit, bytes/s
)

// flow asks for blocks as fast as it may for a while, and returns how many bytes it got.
func flow(g *Guest, n fetch.Need, size int64, span time.Duration) (bytes int64) {
	for end := time.Now().Add(span); ; {
		wait := g.Rest(n)
		if !time.Now().Add(wait).Before(end) {
			time.Sleep(time.Until(end))
			return bytes
		}
		if time.Sleep(wait); wait > 0 {
			continue
		}
		g.Count(n, size)
		bytes += size
	}
}

// kept checks that a limit was kept and used: what goes at once after a rest comes on top, and the last block.
func kept(t *testing.T, what string, bytes, last int64, span time.Duration) {
	t.Helper()
	want := float64(speed) * span.Seconds()
	if x := float64(bytes); x > want+speed*burst.Seconds()+float64(last) || x < 0.95*want {
		t.Errorf("%s: %.0f bytes in %v, the limit allows %.0f", what, x, span, want)
	}
}

// A limit holds for each kind of traffic alone, on its own network and on no other.
func TestLimitsHold(t *testing.T) {
	const span = time.Minute
	for _, p := range []fetch.Path{fetch.Loopback, fetch.LAN, fetch.Direct, fetch.Unknown, fetch.Relay} {
		limits := map[int]Limits{lan: {LANDown: speed}, internet: {InternetDown: speed}, relay: {RelayDown: speed}}
		for c, l := range limits {
			on(t, Config{Limits: l}, func(t *testing.T, g *Guest, m *machine) {
				for _, prio := range []fetch.Priority{fetch.OnDemand, fetch.ReadAhead, fetch.Pin, fetch.Safety, fetch.Background} {
					n := fetch.Need{Priority: prio, Path: p}
					if c == classOf(p) {
						time.Sleep(time.Minute) // whatever went before is paid for
						kept(t, prio.String()+" "+p.String(), flow(g, n, block, span), block, span)
						continue
					}
					if g.Count(n, 1<<40); g.Rest(n) != 0 {
						t.Errorf("%v is under the limit of another network", p)
					}
				}
			})
		}
	}
}

// What somebody waits for goes first, and the rest gets what is left of the one limit.
func TestUrgentGoesFirstAndIsPaidFor(t *testing.T) {
	on(t, Config{Limits: Limits{InternetDown: speed}}, func(t *testing.T, g *Guest, m *machine) {
		const span = time.Minute
		pin, read := fetch.Need{Priority: fetch.Pin, Path: fetch.Direct}, fetch.Need{Priority: fetch.OnDemand, Path: fetch.Direct}
		total := make(chan int64)
		go func() { total <- flow(g, pin, 4*block, span) }()
		var urgent int64
		for range 60 { // a quarter of the limit
			time.Sleep(time.Second)
			if wait := g.Rest(read); wait > 0 {
				t.Errorf("a reader waits %v behind what nobody waits for", wait)
			}
			g.Count(read, block)
			urgent += block
		}
		bulk := <-total
		kept(t, "together", bulk+urgent, 5*block, span)
		if bulk < speed*45/2 {
			t.Errorf("what nobody waits for got %d bytes of %d", bulk, speed*45)
		}
	})
}

// What was counted and did not come is given back.
func TestWhatDidNotComeIsGivenBack(t *testing.T) {
	on(t, Config{Limits: Limits{LANDown: speed}}, func(t *testing.T, g *Guest, m *machine) {
		n := fetch.Need{Priority: fetch.Pin, Path: fetch.LAN}
		g.Count(n, 10*speed)
		if wait := g.Rest(n); wait < 9*time.Second || wait > 10*time.Second {
			t.Errorf("waits %v", wait)
		}
		g.Count(n, -10*speed)
		if wait := g.Rest(n); wait != 0 {
			t.Errorf("waits %v for nothing", wait)
		}
	})
}

// While the connection is metered its limit holds besides, for the internet only.
func TestMeteredLimit(t *testing.T) {
	on(t, Config{Limits: Limits{MeteredDown: speed, InternetDown: 100 * speed}}, func(t *testing.T, g *Guest, m *machine) {
		read := fetch.Need{Priority: fetch.Safety, Path: fetch.Direct}
		if got := flow(g, read, block, time.Minute); got < 50*60*speed {
			t.Errorf("%d bytes while it is not metered", got)
		}
		m.set(Conditions{Level: -1, Metered: true})
		g.Fresh(t.Context())
		time.Sleep(lookEvery)
		g.Fresh(t.Context())
		kept(t, "metered", flow(g, read, block, time.Minute), block, time.Minute)
		near := fetch.Need{Priority: fetch.Safety, Path: fetch.LAN}
		if g.Count(near, 1<<40); g.Rest(near) != 0 {
			t.Error("this network is taken for the metered one")
		}
	})
}

// Sending is granted in portions, so that others can pass, and to the limit.
func TestGrants(t *testing.T) {
	on(t, Config{Limits: Limits{RelayUp: speed}}, func(t *testing.T, g *Guest, m *machine) {
		begun, sent := time.Now(), 0
		for sent < 60*speed {
			n, wait := g.Grant(fetch.Relay, false, 64<<10)
			if n > 64<<10 || (n > 0) == (wait > 0) {
				t.Fatalf("granted %d, wait %v", n, wait)
			}
			if sent += n; wait > 0 {
				time.Sleep(wait)
			}
			if wait > 0 && wait < time.Second {
				if u, w := g.Grant(fetch.Relay, true, 1); u != 1 {
					t.Fatalf("something urgent waits %v", w)
				}
			}
		}
		kept(t, "sent", int64(sent), 64<<10, time.Since(begun))
		g.SetLimits(Limits{RelayUp: 16 << 10})
		if n, _ := g.Grant(fetch.Relay, false, 64<<10); n != leastBit {
			t.Errorf("%d bytes at once at 16 KiB/s", n)
		}
		if n, _ := g.Grant(fetch.LAN, false, 1<<20); n != 1<<20 {
			t.Errorf("%d of 1 MiB where there is no limit", n)
		}
		if l := (Limits{RelayUp: 16 << 10}); g.Limits() != l {
			t.Errorf("%+v", g.Limits())
		}
		g.SetLimits(Limits{})
		if n, wait := g.Grant(fetch.Relay, false, 1<<20); n != 1<<20 {
			t.Errorf("granted %d, wait %v where there is no limit any more", n, wait)
		}
	})
}
