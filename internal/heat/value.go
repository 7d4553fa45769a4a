package heat

import (
	"math"
	"time"
)

// HalfLife is in what time half of a heat is forgotten.
const HalfLife = 7 * 24 * time.Hour

// maxHeat bounds a heat: no history of use makes a file hot for longer than about three months.
const maxHeat = 1 << 12

// A Beat is a time on a Clock, in seconds.
type Beat int64

// Heat is an exponentially decayed count of uses: how many there were, each halved every HalfLife since
// it happened. The zero Heat is that of a file that was never used.
type Heat struct {
	n  float64
	at Beat
}

// At is the heat at a time; before its last change it is what it was then.
func (h Heat) At(now Beat) float64 {
	if now <= h.at {
		return h.n
	}
	return h.n * math.Exp2(-float64(now-h.at)/HalfLife.Seconds())
}

// Plus adds n uses at a time.
func (h Heat) Plus(n float64, now Beat) Heat {
	return Heat{n: min(h.At(now)+n, maxHeat), at: max(now, h.at)}
}

// maxStep is the longest time that a Clock believes to have passed unseen.
const maxStep = HalfLife

// Clock is a count of seconds that only goes forward, by what the system's clock shows to have passed:
// nothing when that was set back, and no more than maxStep however far it jumped. So a wrong clock neither
// freezes what is hot nor wipes it out, and a device that lay in a drawer for a summer still knows what was
// used before.
type Clock struct {
	Wall int64 // unix seconds when it was looked at last
	Now  Beat
}

// Tick looks at the system's clock.
func (c *Clock) Tick(wall time.Time) Beat {
	s := wall.Unix()
	if c.Wall != 0 {
		c.Now += Beat(min(max(s-c.Wall, 0), int64(maxStep/time.Second)))
	}
	c.Wall = s
	return c.Now
}
