package guest

import (
	"math"
	"time"
)

// limit holds traffic of two kinds to one rate. What somebody waits for goes ahead of the rest, and the rest
// pays for it: it goes only while all that went keeps to the rate. Against the urgent only the urgent counts, so
// that a large block that was asked for a moment ago does not keep a reader waiting; alone it keeps to the rate, too.
type limit struct {
	rate        int64 // bytes/s; 0: none
	all, urgent bucket
}

const (
	burst    = 250 * time.Millisecond // worth of a rate that may go at once after a rest
	leastBit = 4 << 10                // bytes sent at once under the tightest of limits
	portions = 8                      // a second, else: short enough to let others pass
)

func newLimit(rate int64) limit {
	full := float64(rate) * burst.Seconds()
	return limit{rate: rate, all: bucket{tokens: full}, urgent: bucket{tokens: full}}
}

func (l *limit) wait(now time.Time, urgent bool) time.Duration {
	b := &l.all
	if urgent {
		b = &l.urgent
	}
	return b.wait(l.rate, now)
}

// count takes n bytes; n < 0 gives back what was taken for more than came.
func (l *limit) count(now time.Time, urgent bool, n int64) {
	l.all.take(l.rate, now, n)
	if urgent {
		l.urgent.take(l.rate, now, n)
	}
}

func (l *limit) portion() int { return int(max(leastBit, l.rate/portions)) }

// bucket is a token bucket, in bytes, that may go into debt: how large a block is shows when it is there.
type bucket struct {
	tokens float64
	at     time.Time // as of then
}

func (b *bucket) fill(rate int64, now time.Time) {
	if !b.at.IsZero() {
		b.tokens += float64(rate) * now.Sub(b.at).Seconds()
	}
	b.tokens, b.at = min(b.tokens, float64(rate)*burst.Seconds()), now
}

func (b *bucket) take(rate int64, now time.Time, n int64) {
	b.fill(rate, now)
	b.tokens -= float64(n)
}

// wait is how long the bucket is in debt.
func (b *bucket) wait(rate int64, now time.Time) time.Duration {
	b.fill(rate, now)
	if b.tokens > 0 {
		return 0
	}
	return time.Duration(math.Ceil((1-b.tokens)/float64(rate)*1e6)) * time.Microsecond
}
