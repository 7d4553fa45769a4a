package fetch

// Second attempts at blocks that are on their way already cost bytes that may come twice: at most hedgeShare
// of what was fetched, and hedgeBurst at a time.
const (
	hedgeShare = 0.05
	hedgeBurst = 2 << 20
)

// bucket is a token bucket, in bytes.
type bucket struct{ tokens float64 }

// earn adds to it for n bytes that came.
func (b *bucket) earn(n int) { b.tokens = min(b.tokens+hedgeShare*float64(n), hedgeBurst) }

// spend takes n bytes out, if they are there.
func (b *bucket) spend(n float64) bool {
	if b.tokens < n {
		return false
	}
	b.tokens -= n
	return true
}

// load is the memory that requests take: for what was asked as much as a block may be, for what came what it is,
// until it is in the cache. Urgent requests have one of their own: nothing else may stand before them, and
// however many there are, they must not fill the memory.
type load struct{ urgent, rest int64 }

func (l *load) add(urgent bool, n int64) {
	if urgent {
		l.urgent += n
	} else {
		l.rest += n
	}
}

// fullLocked reports whether a block of priority p may not be asked for now. What is read ahead may take twice
// as much, so that it need not wait for pins to arrive; of what is for the urgent, a part is kept for second
// attempts, or a device that fell silent would hold all of it.
func (f *Fetcher) fullLocked(p Priority, second bool) bool {
	l, used := f.lim.InFlightBytes, f.load.rest
	switch {
	case p == ReadAhead:
		l *= 2
	case p.Urgent() && second:
		l, used = f.lim.UrgentBytes, f.load.urgent
	case p.Urgent():
		l, used = f.lim.UrgentBytes-f.lim.UrgentBytes/16, f.load.urgent
	}
	return used > 0 && used+f.book.largest() > l
}
