package fetch

import (
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// Pace is how quickly a device gives.
type Pace struct {
	Rate float64       // bytes/s, as measured or else as its kind of path usually is
	RTT  time.Duration // 0: not measured
}

// Paces tells of every device that is connected now.
func (f *Fetcher) Paces() map[ident.DeviceID]Pace {
	all := f.cfg.Locator.Locate(blocks.Digest{})
	out := make(map[ident.DeviceID]Pace, len(all))
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range all {
		if c.Connected {
			out[c.Source.Device()] = Pace{f.book.rate(c), c.RTT}
		}
	}
	return out
}
