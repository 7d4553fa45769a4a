package daemon

import (
	"context"
	"time"

	"github.com/shelffs/shelf/internal/errs"
)

// collectEvery is how often removals that all devices know of are forgotten.
const collectEvery = 10 * time.Minute

// collect forgets them until ctx ends.
func (p *parts) collect(ctx context.Context) {
	t := time.NewTicker(collectEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if n, err := p.names.Collect(ctx); err != nil && !errs.Is(err, errs.Interrupted) {
			p.log.Warn("removals could not be collected", "err", err)
		} else if n > 0 {
			p.log.Info("removals collected", "registers", n)
		}
	}
}
