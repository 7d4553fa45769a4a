package exchange

import (
	"time"

	"github.com/shelffs/shelf/internal/ident"
)

// Pacer keeps what is sent to the limits of this device. It answers from memory.
type Pacer interface {
	// Grant takes at most n bytes of blocks that are to be sent to a device now, and at least one; or none, and
	// says how long to wait. urgent: somebody waits for them.
	Grant(dev ident.DeviceID, urgent bool, n int) (granted int, wait time.Duration)
}

// clear waits until up to n bytes of an answer may be sent, and returns how many: after what is more urgent,
// and within the limits.
func (v *service) clear(j *job, n int) (int, error) {
	for n > 0 && v.ctx.Err() == nil {
		if !v.r.gate.wait(&v.level, v.ctx.Done()) {
			return 0, v.ctx.Err()
		}
		if v.x.cfg.Pacer == nil || !j.q.block() {
			return n, nil
		}
		granted, wait := v.x.cfg.Pacer.Grant(v.r.dev, v.level.Load() < levels-1, n)
		if granted > 0 {
			return granted, nil
		}
		t := time.NewTimer(wait) // short: less than portions that went a moment ago take
		select {
		case <-t.C:
		case <-v.ctx.Done():
		}
		t.Stop()
	}
	return 0, v.ctx.Err()
}
