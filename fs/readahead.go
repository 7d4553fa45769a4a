package fs

import (
	"context"
	"sync"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/namespace"
)

// readAhead asks in time for what a handle will read next, as its pattern says: first a little, then
// more with every step, so that a file that is only looked at costs little and a film never waits.
// After a seek what is not on its way yet is withdrawn.
type readAhead struct {
	mu      sync.Mutex
	pattern pattern
	todo    []task
	working bool     // a goroutine does that
	asked   []func() // withdraw what was asked for, newest last
	closed  bool
}

// task is an advice, and on whose behalf it is followed.
type task struct {
	advice
	ctx  context.Context
	read extent // that led to it
}

// maxAsked is how many askings can be withdrawn: what older ones asked for has been read.
const maxAsked = 16

// note tells of a read of [off, end) of t, which is n's. It reports whether that goes on where no other read did.
func (r *readAhead) note(ctx context.Context, fs *FS, n *inode, t sourced, off, end int64) (alone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	a := r.pattern.note(extent{off, end}, int64(t.Size()), fs.cfg.Limits.ReadAhead)
	if a.seek {
		r.withdrawLocked()
	}
	if len(a.want) == 0 && a.open.len() == 0 {
		return a.alone
	}
	if r.todo = append(r.todo, task{a, fs.onBehalf(ctx), extent{off, end}}); !r.working {
		r.working = true
		go r.work(fs, n.id, t)
	}
	return a.alone
}

// work does what the advice says, beside the reader: it may have to fetch manifests.
func (r *readAhead) work(fs *FS, id namespace.NodeID, t sourced) {
	for {
		r.mu.Lock()
		if len(r.todo) == 0 || r.closed {
			r.working = false
			r.mu.Unlock()
			return
		}
		a := r.todo[0]
		r.todo = r.todo[1:]
		r.mu.Unlock()
		_, _ = collect(a.ctx, t.Tree, a.read.off, a.read.len()) // so that it is the reader's blocks that come with a manifest
		if ds := digests(fs.aheadOf(a.ctx, id, unopened(a.ctx, fs, t.Tree, a.want...))); len(ds) > 0 {
			r.keep(t.from.Ahead(ds...))
		}
		for _, ref := range unopened(a.ctx, fs, t.Tree, a.open) {
			if here, _ := fs.cfg.Blocks.Find(ref.Digest); here { // nobody waits for it yet
				fs.plain.release(fs.plain.acquire(ref, 0, t.from))
			}
		}
	}
}

// keep remembers how to withdraw what was asked for.
func (r *readAhead) keep(cancel func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked = append(r.asked, cancel); len(r.asked) > maxAsked {
		r.asked = r.asked[1:]
	}
	if r.closed {
		r.withdrawLocked()
	}
}

// unopened lists the blocks of parts of a file that are not open. Those of which a manifest cannot be had
// are left out: who reads there hears of it.
func unopened(ctx context.Context, fs *FS, t *content.Tree, parts ...extent) (refs []blocks.Ref) {
	for _, e := range parts {
		pieces, _ := collect(ctx, t, e.off, e.len())
		for _, p := range pieces {
			if !p.IsHole() && !fs.plain.holds(p.Digest) {
				refs = append(refs, p.Ref)
			}
		}
	}
	return refs
}

func digests(refs []blocks.Ref) []blocks.Digest {
	ds := make([]blocks.Digest, len(refs))
	for i, r := range refs {
		ds[i] = r.Digest
	}
	return ds
}

func (r *readAhead) withdrawLocked() {
	for _, cancel := range r.asked {
		cancel()
	}
	r.asked, r.todo = nil, nil
}

// stop withdraws what is not fetched yet.
func (r *readAhead) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.withdrawLocked()
}
