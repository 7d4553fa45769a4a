package fetch

import "github.com/shelffs/shelf/blocks"

// Find tells whether a block is on this device, or else on its way here because somebody wants it.
// It does not wait. What came along with a manifest is neither before somebody takes it: who does is its reader.
func (f *Fetcher) Find(d blocks.Digest) (here, coming bool) {
	f.mu.Lock()
	here, coming = f.ahead.asked(d), f.flights[d] != nil
	f.mu.Unlock()
	return here || !coming && f.present(d), coming
}
