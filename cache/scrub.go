package cache

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// Round is how far the scrub has come: it reads every block and drops those that fail their check, in
// order of their digests, and goes on after a restart where it was.
type Round struct {
	Begun              time.Time // zero: never
	Before             time.Time // when the round before began, which passed everything; zero: there was none
	Next               blocks.Digest
	Blocks, Bytes, Bad int64 // of this round
}

// lastDigest is beyond all others.
var lastDigest = blocks.Digest(bytes.Repeat([]byte{0xff}, len(blocks.Digest{})))

// Done reports whether the round has passed everything.
func (r Round) Done() bool { return r.Next == lastDigest }

// Share is how much of the round is done, 0 to 1: digests are spread evenly.
func (r Round) Share() float64 {
	if r.Done() {
		return 1
	}
	return float64(binary.BigEndian.Uint64(r.Next[:])) / (1 << 64)
}

// Verified is a time since when a block that is here has been read and found whole; zero: none
// is known. It may have come later, and was checked then.
func (r Round) Verified(d blocks.Digest) time.Time {
	if bytes.Compare(d[:], r.Next[:]) < 0 {
		return r.Begun
	}
	return r.Before
}

// The row of tabScrub: version 1, begun and before in unix nanoseconds (0: never), blocks, bytes, bad as
// u64be, the next digest.
const (
	scrubVersion = 1
	scrubLen     = 1 + 5*8 + len(blocks.Digest{})
)

func (r Round) append(b []byte) []byte {
	b = append(b, scrubVersion)
	for _, n := range [...]int64{unixNano(r.Begun), unixNano(r.Before), r.Blocks, r.Bytes, r.Bad} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return append(b, r.Next[:]...)
}

func parseRound(b []byte) (r Round, err error) {
	if len(b) != scrubLen || b[0] != scrubVersion {
		return r, errs.E("cache", errs.Corrupt, "scrub row", nil)
	}
	n := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[1+8*i:])) }
	r = Round{Begun: fromNano(n(0)), Before: fromNano(n(1)), Blocks: n(2), Bytes: n(3), Bad: n(4)}
	copy(r.Next[:], b[1+5*8:])
	return r, nil
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// Round returns how far the scrub has come. A row that cannot be read is one of no round.
func (s *Store) Round() (Round, error) {
	b, err := s.db.Get(s.db.Key(tabScrub))
	if errs.Is(err, errs.NotExist) || errs.Is(err, errs.Corrupt) {
		return Round{}, nil
	} else if err != nil {
		return Round{}, errs.E("cache.Round", errs.Other, "", err)
	}
	r, err := parseRound(b)
	if err != nil {
		return Round{}, nil
	}
	return r, nil
}

func (s *Store) setRound(r Round) error {
	b := s.db.Batch()
	_ = b.Set(s.db.Key(tabScrub), r.append(nil))
	return b.Commit(kv.NoSync)
}

// BeginRound begins anew, at a time.
func (s *Store) BeginRound(now time.Time) error {
	r, err := s.Round()
	if err == nil {
		next := Round{Begun: now, Before: r.Before}
		if r.Done() {
			next.Before = r.Begun
		}
		err = s.setRound(next)
	}
	if err != nil {
		return errs.E("cache.BeginRound", errs.Other, "", err)
	}
	return nil
}

// errEnough ends a look at rows.
var errEnough = errors.New("enough")

// Scrub goes on with the round until most bytes were read (0: to its end), and returns how it stands
// then. One caller at a time.
func (s *Store) Scrub(ctx context.Context, most int64) (Round, error) {
	const op = "cache.Scrub"
	r, err := s.Round()
	if err != nil || r.Done() {
		return r, err
	}
	buf := make([]byte, 0, blocks.MaxSealed+recordHeader)
	upto := r.Bytes + most
	err = s.rowsFrom(r.Next, func(d blocks.Digest, row row) error {
		if most > 0 && r.Bytes >= upto {
			r.Next = d
			return errEnough
		}
		if err := s.check(ctx, op); err != nil {
			r.Next = d
			return err
		}
		return s.scrubOne(d, row, buf, &r)
	})
	if err == nil {
		r.Next = lastDigest
	}
	if serr := s.setRound(r); err == nil || errors.Is(err, errEnough) {
		err = serr
	}
	if err != nil {
		return r, errs.E(op, errs.Other, "", err)
	}
	return r, nil
}

func (s *Store) scrubOne(d blocks.Digest, row row, buf []byte, r *Round) error {
	if row.form == formAbsent {
		return nil
	}
	_, err := s.get(d, within(buf), true)
	switch {
	case err == nil:
		r.Blocks++
		r.Bytes += int64(row.size)
	case errs.Is(err, errs.NotExist):
		if c, e := s.Class(d); e == nil && c == None && causedByDamage(err) {
			r.Bad++
		}
	default:
		r.Next = d
		return err
	}
	return nil
}

// causedByDamage tells a copy dropped just now from one that was evicted meanwhile.
func causedByDamage(err error) bool {
	e, ok := err.(*errs.Error)
	return ok && errs.Is(e.Err, errs.Corrupt)
}
