package guest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/fetch"
)

// machine is what a Guest sees, and counts its looks.
type machine struct {
	mu    sync.Mutex
	is    Conditions
	looks int
}

func (m *machine) look(context.Context, Conditions) Conditions {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looks++
	return m.is
}

func (m *machine) set(c Conditions) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.is = c
}

func (m *machine) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looks
}

// on runs act in virtual time on a machine.
func on(t *testing.T, c Config, act func(t *testing.T, g *Guest, m *machine)) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{is: Conditions{Level: -1}}
		c.Look = m.look
		g := New(c)
		act(t, g, m)
		g.Close()
	})
}

func TestWhatWaitsAndWhy(t *testing.T) {
	const battery, metered = "on battery at 18 %", "on a metered connection"
	low, costs := Conditions{OnBattery: true, Level: 18}, Conditions{Level: -1, Metered: true}
	for _, c := range []struct {
		is    Conditions
		level int
		need  fetch.Need
		want  string
	}{
		{Conditions{Level: -1}, 30, fetch.Need{Priority: fetch.Pin, Path: fetch.Direct}, ""},
		{low, 30, fetch.Need{Priority: fetch.Pin, Path: fetch.LAN}, battery},
		{low, 18, fetch.Need{Priority: fetch.Background, Path: fetch.LAN}, battery},
		{low, 17, fetch.Need{Priority: fetch.Pin, Path: fetch.LAN}, ""},
		{low, 0, fetch.Need{Priority: fetch.Pin, Path: fetch.LAN}, ""},
		{low, 30, fetch.Need{Priority: fetch.Pin, Awaited: true, Path: fetch.LAN}, ""},
		{low, 30, fetch.Need{Priority: fetch.Safety, Path: fetch.LAN}, ""},
		{low, 30, fetch.Need{Priority: fetch.ReadAhead, Path: fetch.LAN}, ""},
		{low, 30, fetch.Need{Priority: fetch.OnDemand, Path: fetch.LAN}, ""},
		{Conditions{Level: 18}, 30, fetch.Need{Priority: fetch.Pin}, ""},
		{Conditions{OnBattery: true, Level: -1}, 99, fetch.Need{Priority: fetch.Pin}, ""},
		{Conditions{OnBattery: true, Level: -1}, 100, fetch.Need{Priority: fetch.Pin}, "on battery"},
		{costs, 30, fetch.Need{Priority: fetch.Pin, Path: fetch.Direct}, metered},
		{costs, 30, fetch.Need{Priority: fetch.Background, Path: fetch.Relay}, metered},
		{costs, 30, fetch.Need{Priority: fetch.Pin, Path: fetch.Unknown}, metered},
		{costs, 30, fetch.Need{Priority: fetch.Pin, Path: fetch.LAN}, ""},
		{costs, 30, fetch.Need{Priority: fetch.Pin, Awaited: true, Path: fetch.Direct}, ""},
		{costs, 30, fetch.Need{Priority: fetch.Safety, Path: fetch.Direct}, ""},
		{costs, 30, fetch.Need{Priority: fetch.OnDemand, Path: fetch.Direct}, ""},
	} {
		on(t, Config{Battery: c.level}, func(t *testing.T, g *Guest, m *machine) {
			m.set(c.is)
			g.Fresh(context.Background())
			if got := g.Why(c.need); got != c.want || g.Held(c.need) != (c.want != "") {
				t.Errorf("%+v, waits at %d %%, %+v: %q, want %q", c.is, c.level, c.need, got, c.want)
			}
		})
	}
}

// Nothing is looked at while nobody asks, and every few seconds at most while somebody does, who need not wait
// for it.
func TestLooksOnlyWhenAsked(t *testing.T) {
	on(t, Config{Battery: 30}, func(t *testing.T, g *Guest, m *machine) {
		pin := fetch.Need{Priority: fetch.Pin}
		time.Sleep(time.Hour)
		if n := m.count(); n != 0 {
			t.Errorf("%d looks while nobody asked", n)
		}
		for range 600 { // a minute
			g.Held(pin)
			g.Rest(pin)
			time.Sleep(100 * time.Millisecond)
		}
		if n := m.count(); n < 11 || n > 13 {
			t.Errorf("%d looks in a minute", n)
		}
		m.set(Conditions{OnBattery: true, Level: 5})
		time.Sleep(time.Hour)
		if g.Held(pin) {
			t.Error("knows at once what nobody has looked at")
		}
		synctest.Wait()
		if !g.Held(pin) {
			t.Error("does not know what was looked at")
		}
	})
}

// Under pressure a part of the time is left to others, and always some to the work.
func TestPressureSlowsAndNeverStops(t *testing.T) {
	share := func(g *Guest, n fetch.Need) float64 {
		may := 0
		for range 4000 {
			if g.Rest(n) == 0 {
				may++
			}
			time.Sleep(10 * time.Millisecond)
		}
		return float64(may) / 4000
	}
	on(t, Config{}, func(t *testing.T, g *Guest, m *machine) {
		pin, safety := fetch.Need{Priority: fetch.Pin}, fetch.Need{Priority: fetch.Safety}
		if s := share(g, pin); s != 1 {
			t.Errorf("without pressure a pin has %v of the time", s)
		}
		m.set(Conditions{Pressure: "disk"})
		time.Sleep(time.Minute)
		g.Fresh(context.Background())
		if s := share(g, pin); s < 0.24 || s > 0.26 {
			t.Errorf("a pin has %v of the time", s)
		}
		if s := share(g, safety); s < 0.74 || s > 0.76 {
			t.Errorf("a second copy has %v of the time", s)
		}
		for _, n := range []fetch.Need{{Priority: fetch.OnDemand}, {Priority: fetch.ReadAhead}, {Priority: fetch.Pin, Awaited: true}} {
			if s := share(g, n); s != 1 {
				t.Errorf("%+v has %v of the time", n, s)
			}
		}
		if g.Slow() != "the disk is busy" {
			t.Errorf("says %q", g.Slow())
		}
		for range 100 { // the rest that is told is the right one
			if d := g.Rest(pin); d > 0 {
				time.Sleep(d)
				if d = g.Rest(pin); d > 0 {
					t.Fatalf("%v more to rest", d)
				}
			}
			time.Sleep(700 * time.Millisecond)
		}
	})
}

func TestScrubYields(t *testing.T) {
	on(t, Config{}, func(t *testing.T, g *Guest, m *machine) {
		var said []string
		yield := func(ctx context.Context) time.Duration {
			said = nil
			begun := time.Now()
			g.YieldScrub(ctx, func(why string) { said = append(said, why) })
			time.Sleep(lookEvery)
			return time.Since(begun) - lookEvery
		}
		if d := yield(t.Context()); d != 0 || !slices.Equal(said, []string{""}) {
			t.Errorf("waited %v, said %q", d, said)
		}
		m.set(Conditions{Level: -1, Pressure: "processor"})
		if d := yield(t.Context()); d != scrubRest || !slices.Equal(said, []string{"the processor is busy", ""}) {
			t.Errorf("under pressure it waited %v, said %q", d, said)
		}
		m.set(Conditions{OnBattery: true, Level: 95})
		time.AfterFunc(time.Hour, func() { m.set(Conditions{Level: 80}) })
		if d := yield(t.Context()); d < time.Hour || d > time.Hour+scrubRest || said[0] != "on battery at 95 %" || said[len(said)-1] != "" {
			t.Errorf("on battery it waited %v, said %q", d, said)
		}
		m.set(Conditions{OnBattery: true, Level: 95})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if d := yield(ctx); d != time.Minute || said[len(said)-1] != "" {
			t.Errorf("it ended after %v, said %q", d, said)
		}
	})
}

// What the system says is read again, but the network more seldom; with nothing to read, nothing is known.
func TestLookAtTheSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := fstest.MapFS{}
		supply(fsys, "BAT0", "type", "Battery", "status", "Discharging", "capacity", "12")
		fsys["proc/pressure/io"] = &fstest.MapFile{Data: []byte("some avg10=77.0 avg60=0 avg300=0 total=0\n")}
		asked := 0
		for _, c := range []struct {
			cfg  Config
			want Conditions
		}{
			{Config{Root: fsys}, Conditions{OnBattery: true, Level: 12, Metered: true, Pressure: "disk"}},
			{Config{Root: fsys, NoPressure: true}, Conditions{OnBattery: true, Level: 12, Metered: true}},
			{Config{}, Conditions{Level: -1, Metered: true}},
		} {
			g := New(c.cfg)
			asked = 0
			g.meter.system = func(context.Context) bool { asked++; return true }
			for range 10 {
				if got := g.Fresh(t.Context()); got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
				time.Sleep(lookEvery)
			}
			if asked != 2 {
				t.Errorf("the network was looked at %d times in 50 s", asked)
			}
			g.Close()
		}
	})
}
