package heat

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const week = Beat(HalfLife / time.Second)

// Half of a heat is forgotten in a week, uses add up, and nothing else changes it: however the same uses are
// split among looks, and summed over files, the result is the sum of each use, halved for each week since.
func TestHeatIsTheSumOfItsDecayedUses(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var one, other Heat // two files of a folder
		var now Beat = 1
		var uses []Beat
		for range 1 + r.IntN(60) {
			now += Beat(r.Int64N(int64(week) / 4))
			uses = append(uses, now)
			if r.IntN(2) == 0 {
				one = one.Plus(1, now)
			} else {
				other = other.Plus(1, now)
			}
			one.At(now + Beat(r.IntN(1000))) // a look changes nothing
		}
		now += Beat(r.Int64N(int64(week) * 3))
		want := 0.
		for _, u := range uses {
			want += math.Exp2(-float64(now-u) / float64(week))
		}
		if got := one.At(now) + other.At(now); math.Abs(got-want) > 1e-9*want {
			t.Fatalf("seed %d: %g, want %g", seed, got, want)
		}
	}
}

func TestHeatOnlyCoolsWithoutUse(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		var h Heat
		for range 40 {
			at := Beat(1 + r.Int64N(int64(week)*8)) // in any order
			before := h.At(at)
			h = h.Plus(1, at)
			if got := h.At(at); got < 1 || got > before+1+1e-9 || got > maxHeat {
				t.Fatalf("seed %d: from %g to %g by one use", seed, before, got)
			}
		}
		last := h.At(0)
		for at := Beat(0); at < 24*week; at += Beat(r.Int64N(int64(week))) + 1 {
			got := h.At(at)
			if got > last || got < 0 || math.IsNaN(got) {
				t.Fatalf("seed %d: it grew from %g to %g", seed, last, got)
			}
			last = got
		}
		if last > 1e-2 {
			t.Fatalf("seed %d: still %g after half a year", seed, last)
		}
	}
	h := Heat{}
	for range 3 * maxHeat {
		h = h.Plus(1, 1)
	}
	if h.At(1) != maxHeat {
		t.Errorf("unbounded: %g", h.At(1))
	}
}

// Whatever the system's clock does, time goes forward, never by more than a step at a time, and it goes on:
// what was used before a jump cools afterwards as it did before.
func TestClockOutlivesJumps(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		var c Clock
		wall := time.Unix(1_800_000_000, 0)
		last := c.Tick(wall)
		for range 100 {
			jump, step := time.Duration(0), time.Duration(r.Int64N(int64(48*time.Hour)))
			if r.IntN(5) == 0 {
				jump = time.Duration(r.Int64N(int64(20*365*24*time.Hour))) - 10*365*24*time.Hour
			}
			wall = wall.Add(step + jump)
			now := c.Tick(wall)
			if now < last || now-last > Beat(maxStep/time.Second) {
				t.Fatalf("seed %d: from %d to %d", seed, last, now)
			}
			if want := Beat(step / time.Second); jump == 0 && (now-last < want-1 || now-last > want+1) {
				t.Fatalf("seed %d: %v counted as %d s", seed, step, now-last)
			}
			last = now
		}
	}
}

// A clock that was set back by years, forward by years, or was wrong once: a use still counts for about what it was.
func TestWrongClockNeitherFreezesNorWipes(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	for _, jump := range []time.Duration{-30 * 365 * 24 * time.Hour, 30 * 365 * 24 * time.Hour} {
		var c Clock
		h := Heat{}.Plus(8, c.Tick(start))
		c.Tick(start.Add(jump))
		c.Tick(start.Add(time.Hour)) // it is put right
		if got := h.At(c.Now); got < 3.9 {
			t.Errorf("wiped out by a jump of %v: %g of 8", jump, got)
		}
		before := h.At(c.Now)
		for i := range 14 {
			c.Tick(start.Add(time.Hour + time.Duration(i+1)*24*time.Hour))
		}
		if got := h.At(c.Now); math.Abs(got-before/4) > 0.1 {
			t.Errorf("two weeks after a jump of %v it went from %g to %g", jump, before, got)
		}
	}
}
