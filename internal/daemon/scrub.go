package daemon

import (
	"context"
	"time"

	"github.com/shelffs/shelf/cache"
)

const (
	scrubPeriod = 14 * 24 * time.Hour // of a round: also a device that is off half of the time has read each block within 30 days
	scrubStep   = 4 << 20             // bytes read at once
	scrubPause  = time.Second         // between two steps, at least
	scrubYield  = 20                  // and this many times what the step took: the busier the disk, the less often
	scrubLook   = 10 * time.Minute    // where nothing is due
)

// scrubber reads all of the cache again and again, so that damage is found while others still have
// the block. It keeps to a schedule by the share of a round that is done, and catches up where the
// device was off, at a pace that nobody notices.
type scrubber struct {
	store *cache.Store
	now   func() time.Time
	sleep func(context.Context, time.Duration)
	yield func(context.Context) // returns when this machine has time for the next step
}

func (p *parts) scrub(ctx context.Context) {
	s := scrubber{p.cache, time.Now, pause, func(ctx context.Context) { p.guest.YieldScrub(ctx, p.yields.scrub) }}
	for ctx.Err() == nil {
		if err := s.once(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("the cache could not be verified", "err", err)
			pause(ctx, scrubLook)
		}
	}
}

// once does what is due, and sleeps until more may be.
func (s *scrubber) once(ctx context.Context) error {
	r, err := s.store.Round()
	if err != nil {
		return err
	}
	age := s.now().Sub(r.Begun)
	if r.Begun.IsZero() || age < 0 || r.Done() && age >= scrubPeriod {
		return s.store.BeginRound(s.now())
	}
	if early := time.Duration(r.Share()*float64(scrubPeriod)) - age; early > 0 {
		s.sleep(ctx, min(early, scrubLook))
		return ctx.Err()
	}
	if s.yield(ctx); ctx.Err() != nil {
		return ctx.Err()
	}
	begun := s.now()
	if _, err = s.store.Scrub(ctx, scrubStep); err != nil {
		return err
	}
	s.sleep(ctx, max(scrubPause, scrubYield*s.now().Sub(begun)))
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
