package exchange

import (
	"sync/atomic"

	"github.com/shelffs/shelf/internal/ident"
)

// Counters count blocks, and parts of such, that crossed the network, and their sealed bytes without framing.
type Counters struct {
	BlocksIn, BytesIn, BlocksOut, BytesOut uint64
}

// Totals counts since the start, all devices.
func (x *Exchange) Totals() Counters { return x.totals.read() }

// With counts the traffic with one device.
func (x *Exchange) With(dev ident.DeviceID) Counters {
	x.mu.Lock()
	r := x.remotes[dev]
	x.mu.Unlock()
	if r == nil {
		return Counters{}
	}
	return r.tally.read()
}

type tally struct{ blocksIn, bytesIn, blocksOut, bytesOut atomic.Uint64 }

func (t *tally) in(blocks, bytes int) {
	t.blocksIn.Add(uint64(blocks))
	t.bytesIn.Add(uint64(bytes))
}

func (t *tally) out(blocks, bytes int) {
	t.blocksOut.Add(uint64(blocks))
	t.bytesOut.Add(uint64(bytes))
}

func (t *tally) read() Counters {
	return Counters{t.blocksIn.Load(), t.bytesIn.Load(), t.blocksOut.Load(), t.bytesOut.Load()}
}
