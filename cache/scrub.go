package cache

import (
	"context"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// ScrubResult is what Scrub found.
type ScrubResult struct {
	Blocks, Bytes int64 // read and checked
	Bad           int64 // dropped and reported
}

// Scrub reads every block and drops those that fail their check, reading at most rate bytes a
// second (0: no bound). It returns what it did so far when ctx ends.
func (s *Store) Scrub(ctx context.Context, rate int64) (res ScrubResult, err error) {
	const op = "cache.Scrub"
	if err := s.check(ctx, op); err != nil {
		return res, err
	}
	begun := time.Now()
	buf := make([]byte, 0, blocks.MaxSealed+recordHeader)
	err = s.eachRow(func(d blocks.Digest, r row) error {
		if err := s.check(ctx, op); err != nil || r.form == formAbsent {
			return err
		}
		switch _, err := s.get(d, buf, true); {
		case err == nil:
			res.Blocks++
			res.Bytes += int64(r.size)
		case errs.Is(err, errs.NotExist):
			if c, e := s.Class(d); e == nil && c == None && causedByDamage(err) {
				res.Bad++
			}
		default:
			return err
		}
		return pace(ctx, begun, res.Bytes, rate)
	})
	if err != nil {
		return res, errs.E(op, errs.Other, "", err)
	}
	return res, nil
}

// causedByDamage tells a copy dropped just now from one that was evicted meanwhile.
func causedByDamage(err error) bool {
	e, ok := err.(*errs.Error)
	return ok && errs.Is(e.Err, errs.Corrupt)
}

// pace waits until done bytes are due.
func pace(ctx context.Context, begun time.Time, done, rate int64) error {
	if rate <= 0 {
		return nil
	}
	due := time.Duration(float64(done) / float64(rate) * float64(time.Second))
	wait := due - time.Since(begun)
	if wait < 10*time.Millisecond {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}
