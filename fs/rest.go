package fs

import (
	"context"
	"sync"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace"
)

// rests remembers the blocks of which a part was read alone, and asks for them when readers are quiet: what was read
// once is here later on, when nobody may have it, as if all of the block had been brought at once.
type rests struct {
	fs *FS

	mu          sync.Mutex
	list        []partRead // the oldest first
	first, last int64      // when the list began and when it was added to, in nanoseconds
	asked       []func()   // withdraw what was asked for last
}

// partRead is a block of which a part was read.
type partRead struct {
	id   namespace.NodeID
	ref  blocks.Ref
	from Parts
	ctx  context.Context // who read it
}

const (
	restQuiet = 300 * time.Millisecond // so long nobody must have read …
	restLate  = 5 * time.Second        // … or they never pause for so long
	maxRests  = 256                    // those that were read last
)

// note tells that a part of a block was read.
func (r *rests) note(x partRead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = r.fs.now()
	if len(r.list) == 0 {
		r.first = r.last
		time.AfterFunc(restQuiet, r.look)
	}
	r.list = append(r.list, x)
	r.list = r.list[max(0, len(r.list)-maxRests):]
}

// noteRests notes of what needs read a part alone.
func (fs *FS) noteRests(ctx context.Context, id namespace.NodeID, t sourced, needs []need) {
	for _, nd := range needs {
		if nd.part > 0 {
			fs.rests.note(partRead{id, nd.Ref, t.from.(Parts), fs.onBehalf(ctx)})
		}
	}
}

// look asks for the blocks if it is time to.
func (r *rests) look() {
	if r.fs.ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.fs.now(); !ago(r.last, int64(restQuiet), now) && !ago(r.first, int64(restLate), now) {
		time.AfterFunc(restQuiet, r.look)
		return
	}
	list := r.list
	r.list = nil
	go r.ask(list)
}

// ask asks for those blocks that are not here and that their readers may have, in place of what it asked for before.
func (r *rests) ask(list []partRead) {
	r.withdraw()
	for _, x := range list {
		for _, ref := range r.fs.aheadOf(x.ctx, x.id, []blocks.Ref{x.ref}) {
			cancel := x.from.Rest(ref.Digest)
			r.mu.Lock()
			r.asked = append(r.asked, cancel)
			r.mu.Unlock()
		}
	}
}

func (r *rests) withdraw() {
	r.mu.Lock()
	asked := r.asked
	r.asked = nil
	r.mu.Unlock()
	for _, cancel := range asked {
		cancel()
	}
}
