package fetch

import (
	"math"
	"time"
)

// The buckets of a spread: the first ends at shortest, each next one is a quarter of an octave longer.
const (
	shortest    = 100 * time.Microsecond
	perOctave   = 4
	buckets     = 21 * perOctave // up to 3.5 minutes
	spreadDecay = 1 - 1.0/32     // what an older sample counts with each new one
	fewSamples  = 6              // with less weight than these there is no telling
)

// spread is a histogram of durations that forgets: roughly the last fifty samples count.
type spread struct {
	weight [buckets]float32
	total  float32
}

func (s *spread) add(d time.Duration) {
	for i := range s.weight {
		s.weight[i] *= spreadDecay
	}
	s.weight[bucketOf(d)]++
	s.total = s.total*spreadDecay + 1
}

// quantile is the duration that a share q of the samples did not exceed, rounded up to its bucket's end;
// false when there are too few of them.
func (s *spread) quantile(q float64) (time.Duration, bool) {
	if s.total < fewSamples {
		return 0, false
	}
	want, sum := float32(q)*s.total, float32(0)
	for i, w := range s.weight {
		if sum += w; sum >= want && w > 0 {
			return bucketEnd(i), true
		}
	}
	return bucketEnd(buckets - 1), true // rounding
}

func bucketOf(d time.Duration) int {
	if d <= shortest {
		return 0
	}
	i := int(math.Ceil(perOctave*math.Log2(float64(d)/float64(shortest)) - 1e-9))
	return min(i, buckets-1)
}

func bucketEnd(i int) time.Duration {
	return time.Duration(float64(shortest) * math.Exp2(float64(i)/perOctave))
}

// peak is the highest value seen in this period and the one before: it rises at once, and falls within two.
type peak struct {
	now, last float64
	until     time.Time // the end of this period
}

const peakPeriod = time.Second

func (p *peak) add(x float64, now time.Time) {
	if now.After(p.until) {
		p.last, p.now, p.until = p.now, 0, now.Add(peakPeriod)
	}
	p.now = max(p.now, x)
}

func (p *peak) value() float64 { return max(p.now, p.last) }
