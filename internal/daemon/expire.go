package daemon

import (
	"context"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// expireEvery is how often old states are dropped whose time is over.
const expireEvery = time.Hour

// expireHistory drops them, and lets their blocks go, until ctx ends.
func (p *parts) expireHistory(ctx context.Context) {
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		n, err := p.names.ExpireHistory(ctx, func(ns []namespace.NodeID) { p.placement.Forget(ctx, ns) })
		if err != nil && !errs.Is(err, errs.Interrupted) {
			p.log.Warn("history could not be shortened", "err", err)
		} else if n > 0 {
			p.log.Info("history shortened", "states", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
