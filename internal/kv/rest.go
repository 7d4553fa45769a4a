package kv

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// A store that many rows were written to is for a while larger than what it holds: the log has
// what tables are yet to get, and tables hold rows that newer ones replace. Pebble would leave
// it so until more is written. Once nobody writes, the store comes to rest: the log becomes a
// table, and if much lies above the last level, everything becomes one sorted run.

const (
	restAfter = 10 * time.Second // without a commit
	restLog   = 64 << 10         // bytes of log that are worth a table
	restLoose = 256 << 10        // bytes above the last level that are worth a compaction …
	restPart  = 4                // … if they are also more than this part of the last level
)

// rest runs until the store closes.
func (d *disk) rest(after time.Duration) {
	defer close(d.rested)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-d.guard.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(after)
	defer tick.Stop()
	seen, done := d.commits.Load(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch now := d.commits.Load(); {
		case now != seen:
			seen = now
		case now != done && d.guard.failure() == nil && !d.guard.full.Load():
			done = now
			d.tidy(ctx)
		}
	}
}

// tidy brings the store to rest. What fails is repeated by Pebble, or after the next commits.
func (d *disk) tidy(ctx context.Context) {
	if d.p.Metrics().WAL.Size > restLog {
		flushed, err := d.p.AsyncFlush()
		if err != nil {
			return
		}
		select {
		case <-flushed:
		case <-ctx.Done():
			return
		}
	}
	m := d.p.Metrics()
	last := m.Levels[len(m.Levels)-1].TablesSize
	loose := -last
	for i := range m.Levels {
		loose += m.Levels[i].TablesSize
	}
	if loose < max(restLoose, last/restPart) || d.guard.avail() < d.guard.o.FreeFloor+2*(last+loose) {
		return
	}
	if err := d.p.Compact(ctx, []byte{tableOwn}, []byte{0xff}, true); err != nil && ctx.Err() == nil {
		d.log.Debug("kv: could not come to rest", "err", err)
	}
}

// noRecycling removes logs that are done with. Pebble would keep as many as ever waited at
// once, to write them again, unless its cleaner wants to see what is in them.
type noRecycling struct {
	pebble.DeleteCleaner
	contentsWanted
}

type contentsWanted struct{ pebble.ArchiveCleaner }
