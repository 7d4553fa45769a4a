package fetch

import "time"

// page is what is known of one device. Guarded by Fetcher.mu.
type page struct {
	path      Path      // on which the following was measured
	requests  int       // under way
	flying    int64     // bytes asked for, estimated
	urgent    int64     // of those, what somebody waited for when it was asked
	delivered int64     // bytes, ever
	read      time.Time // when somebody last waited for a block of it
	rate      peak      // bytes/s
	waits     spread
	answers   int     // how often it said that it has a block, or has not
	hit       float64 // smoothed share of those that brought the block, 0..1
	lies      float64 // wrong answers, forgotten as right ones come
	fails     float64 // smoothed share of requests that broke off or were not answered
	quiet     quiet
}

func (p *page) asked(a *attempt, sign int64) {
	p.requests += int(sign)
	p.flying += sign * a.est
	if a.urgent {
		p.urgent += sign * a.est
	}
}

func (p *page) answered(hit bool) {
	p.answers++
	p.hit += (share(hit) - p.hit) / 8
	if hit {
		p.lies *= 0.98
	}
}

func (p *page) failed() { p.fails += (1 - p.fails) / 8 }

func share(hit bool) float64 {
	if hit {
		return 1
	}
	return 0
}

// quiet is how it stands with a device that fell silent: connected, asked, and nothing comes. It is left in peace
// for a while, the longer the more often that happened, and then tried with one request.
type quiet struct {
	heard time.Time // when something last came of it
	late  int       // requests since then that another device had to answer
	times int       // how often it was left in peace since then
	until time.Time
}

const (
	minQuiet = 2 * time.Second
	maxQuiet = time.Minute
	maxLate  = 3
)

func (q *quiet) hears(now time.Time) { *q = quiet{heard: now} }

// missed says that a request that began then was given up without a sign of life.
func (q *quiet) missed(begun, now time.Time, sure bool) {
	if q.heard.After(begun) {
		return
	}
	if q.late++; sure || q.late >= maxLate {
		q.late, q.until = 0, now.Add(min(minQuiet<<min(q.times, 8), maxQuiet))
		q.times++
	}
}

// shy reports whether others are to be asked instead.
func (p *page) shy(now time.Time) bool {
	return p.quiet.times > 0 && (now.Before(p.quiet.until) || p.requests > 0)
}
