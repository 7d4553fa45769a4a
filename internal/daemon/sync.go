package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
)

// Sync implements control.Syncer. What is kept only here is offered to a connected device,
// which then keeps it: so waiting ends, and closing the lid is safe.
func (d *daemon) Sync(ctx context.Context, req controlapi.SyncRequest, progress func(controlapi.Pending)) (controlapi.SyncResult, error) {
	if err := d.saved(ctx); err != nil {
		return controlapi.SyncResult{}, err
	}
	if !req.Wait {
		return d.synced(), nil
	}
	if len(d.living()) < 2 {
		return d.synced(), controlapi.E("offline", "add one: shelf invite", "this account has no other device that could keep anything")
	}
	if req.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.Timeout)
		defer cancel()
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var offered time.Time
	for {
		res := d.synced()
		progress(res.Pending)
		if res.Synced {
			return res, nil
		}
		if len(res.On) > 0 && time.Since(offered) > 2*time.Second { // first the records: who does not know a file can not keep it
			offered = time.Now()
			if _, err := d.placement.HoldElsewhere(ctx); err != nil && !errs.Is(err, errs.Offline) {
				d.log.Debug("nobody takes our blocks yet", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return res, nil
			}
			return res, ctx.Err()
		case <-tick.C:
		}
	}
}

// synced tells how things stand now.
func (d *daemon) synced() controlapi.SyncResult {
	res := controlapi.SyncResult{Pending: d.pending(), On: []string{}}
	for _, dev := range d.have() {
		res.On = append(res.On, d.account.Name(dev))
	}
	res.Synced = res.Pending.Zero() && len(res.On) > 0
	return res
}
