package exchange

import (
	"time"

	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/ident"
)

// Pacer keeps what is sent to the limits of this device. It answers from memory.
type Pacer interface {
	// Way is by which way a device is served; false when no limit is in force.
	Way(dev ident.DeviceID) (way fetch.Path, limited bool)
	// Grant takes at most n bytes of blocks that are to be sent over a way now, and at least one; or none, and
	// says how long to wait. urgent: somebody waits for them.
	Grant(way fetch.Path, urgent bool, n int) (granted int, wait time.Duration)
}

// clear waits until up to n bytes of an answer may be sent, and returns how many: after what is more urgent,
// and within the limits.
func (v *service) clear(j *job, n int) (int, error) {
	done := v.ctx.Done()
	if n == 0 || !v.r.gate.wait(&v.level, done) || !v.x.rush.wait(&v.level, done) {
		return 0, v.ctx.Err()
	}
	pacer := v.x.cfg.Pacer
	if pacer == nil || !j.q.block() {
		return n, nil
	}
	way, limited := pacer.Way(v.r.dev)
	if !limited {
		return n, nil
	}
	w := &waiter{to: v.r, level: &v.level, wake: make(chan struct{}, 1)}
	granted, ok := v.x.turns[way].pass(w, func() (int, time.Duration) { return pacer.Grant(way, w.urgent(), n) }, done)
	if !ok {
		return 0, v.ctx.Err()
	}
	return granted, nil
}
