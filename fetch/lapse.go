package fetch

import (
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// A kernel whose read-ahead failed asks once more for the page that its reader is at, and the reader would
// wait twice. So a wait that ended in vain is remembered for a moment: whoever asks again while no device
// came or went gets the same answer at once.
const (
	lapseTime = 2 * time.Second
	minLapse  = time.Second // shorter waits are not worth it
)

type lapse struct {
	err     error
	until   time.Time
	changes uint64 // Fetcher.changes
}

// lapses is guarded by Fetcher.mu.
type lapses map[blocks.Digest]lapse

// noteLocked remembers how a flight ended, if somebody waited for it.
func (f *Fetcher) noteLocked(fl *flight, err error) {
	now := time.Now()
	for d, l := range f.lapses {
		if now.After(l.until) {
			delete(f.lapses, d)
		}
	}
	inVain := errs.Is(err, errs.Timeout) || errs.Is(err, errs.Offline) || errs.Is(err, errs.Exhausted)
	if fl.waiting[OnDemand] > 0 && inVain && now.Sub(fl.urgent) >= minLapse {
		f.lapses[fl.digest] = lapse{err, now.Add(lapseTime), f.changes}
	}
}

// lapsedLocked is the error that somebody waited for in vain a moment ago, or nil.
func (f *Fetcher) lapsedLocked(d blocks.Digest) error {
	l, ok := f.lapses[d]
	if !ok || l.changes != f.changes || time.Now().After(l.until) {
		return nil
	}
	return l.err
}
