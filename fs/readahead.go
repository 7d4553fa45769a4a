package fs

import (
	"context"
	"sync"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
)

// readAhead notices that a handle reads in order and asks in time for what comes next:
// first a little, then more with every step, so that a file that is only looked at costs
// little and a film never waits.
type readAhead struct {
	mu      sync.Mutex
	next    int64 // where the reader will go on
	run     int64 // bytes read in order so far
	asked   int64 // everything before was asked for
	working bool  // a goroutine walks the tree
	cancel  func()
	closed  bool
}

const (
	raSlack = 2 << 20 // a kernel's own read-ahead arrives out of order within this
	raFirst = 1 << 20 // the first window
	raWarm  = 1 << 20 // how far ahead blocks are opened, not only fetched
)

// note tells of a read of [off, end) of t, which is n's.
func (r *readAhead) note(ctx context.Context, fs *FS, n *inode, t *content.Tree, off, end int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if off < r.next-raSlack || off > r.next+raSlack {
		r.next, r.run, r.asked = end, 0, 0 // a jump
		return
	}
	r.run += end - off
	r.next = max(r.next, end)
	if r.run < 2*(end-off) { // one read proves nothing
		return
	}
	window := min(max(2*r.run, raFirst), fs.cfg.Limits.ReadAhead)
	from, to := max(r.asked, r.next), min(r.next+window, int64(t.Size()))
	if r.working || r.closed || to-from < window/4 && to < int64(t.Size()) || to <= from {
		return
	}
	r.asked, r.working = to, true
	go r.ask(fs.onBehalf(ctx), fs, n, t, from, to)
}

// ask wishes for the blocks of [from, to) and opens the first of them.
func (r *readAhead) ask(ctx context.Context, fs *FS, n *inode, t *content.Tree, from, to int64) {
	var ds []blocks.Digest
	var warm []blocks.Ref
	pieces, err := collect(ctx, t, from, to-from)
	for _, p := range fs.aheadOf(ctx, n.id, pieces) {
		if p.IsHole() || fs.plain.holds(p.Digest) {
			continue
		}
		ds = append(ds, p.Digest)
		if int64(p.Off) < from+raWarm {
			warm = append(warm, p.Ref)
		}
	}
	cancel := func() {}
	if err == nil && len(ds) > 0 {
		cancel = fs.cfg.Blocks.Ahead(ds...)
	}
	for _, ref := range warm {
		p := fs.plain.acquire(ref)
		<-p.ready
		fs.plain.release(p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.working = false
	if err != nil {
		r.asked = 0
	}
	if r.closed {
		cancel()
	} else {
		r.cancel = cancel // of the newest window: the ones before are read by now
	}
}

// stop withdraws what is not fetched yet.
func (r *readAhead) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.cancel != nil {
		r.cancel()
	}
}
