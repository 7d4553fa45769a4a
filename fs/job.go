package fs

import (
	"context"
	"io"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/chunker"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// job is one file on its way through the saver.
type job struct {
	n      *inode
	f      *file
	commit bool // else it is only sealed
	gen    uint64
	size   int64
	mtime  int64
	made   []blocks.Digest // staged, and named by the tree
	err    error           // why it could not be committed

	before, after blocks.Content // what the record named before and names now
	keep          []blocks.Digest
	promised      uint64 // the number of the last promise that it makes needless
	staged        bool   // there may be something to settle
	several       bool   // sealed more than once: not all of keep is in after
}

// begin freezes the changes of n; nil if there is nothing to do.
func (s *saver) begin(n *inode) *job {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.file
	if f == nil {
		return nil
	}
	f.queued = false
	if f.saving || f.paused != nil || !f.touched {
		return nil
	}
	j := &job{n: n, f: f, gen: f.gen, size: f.size, mtime: f.mtime, commit: f.want && n.gone == nil}
	later := j.commit && s.fs.midway(f)
	if later && (f.dirty.empty() || !f.dirty.large() && s.short.Load() == 0) {
		s.postpone(n)
		return nil
	}
	if j.commit = j.commit && !later; !j.commit && f.dirty.empty() {
		return nil
	}
	if j.commit {
		j.promised = f.promises.last
		f.promises.fresh, f.promises.full, f.promises.bytes = nil, false, 0
	}
	f.want, f.saving = later, true
	f.emptied = f.emptied && !j.commit
	s.jobs.Add(1)
	f.splices++
	f.frozen, f.dirty = f.dirty, layer{mem: &s.fs.mem}
	if !j.commit {
		f.dirty = f.frozen.split(mostSealed)
		j.size = f.sealedSize()
	}
	return j
}

// mostSealed is how much is sealed at once while a file is still being written: what is
// sealed gives its memory back only when all of it is done, and writers wait for that.
const mostSealed = 2 * earlySeal

// sealedSize is the size of the file without the spans that stay in dirty, which are all
// behind those in frozen. n.mu is held.
func (f *file) sealedSize() int64 {
	if f.dirty.empty() {
		return f.size
	}
	below := int64(f.entry.Content.Size)
	if f.tree != nil {
		below = int64(f.tree.Size())
	}
	end := int64(0)
	if n := len(f.frozen.spans); n > 0 {
		end = f.frozen.spans[n-1].end()
	}
	return min(f.size, max(below, end))
}

// seal makes the tree of what begin has frozen and stages its blocks.
func (s *saver) seal(j *job) {
	tree, err := s.splice(s.fs.ctx, j)
	n, f := j.n, j.f
	n.mu.Lock()
	defer n.mu.Unlock()
	f.emitted, f.staged = append(f.emitted, j.made...), f.staged || len(j.made) > 0
	if err != nil {
		f.frozen.over(&f.dirty)
		f.frozen.truncate(f.size)
		f.dirty, f.frozen = f.frozen, layer{mem: &s.fs.mem}
		s.fail(j, err)
		return
	}
	shown := s.fs.storedNow(f)
	f.tree = tree
	f.frozen.drop()
	if s.fs.storedNow(f) != shown { // the kernel may keep another number of blocks
		s.fs.invalidate(n.id, false)
	}
	if j.commit {
		s.toCommit.put(j)
	} else {
		s.finish(j)
	}
	s.progress(nil)
}

// splice cuts, seals and stages.
func (s *saver) splice(ctx context.Context, j *job) (*content.Tree, error) {
	fs, f := s.fs, j.f
	old, err := s.below(ctx, j)
	if err != nil {
		return nil, err
	}
	if f.frozen.empty() && uint64(j.size) == old.Size() {
		return old.Tree, nil // only the times changed
	}
	e := content.Edit{New: &editReader{fs: fs, ctx: ctx, over: &f.frozen, tree: old}, Size: uint64(j.size)}
	for _, sp := range f.frozen.spans {
		r := content.Range{Off: uint64(sp.off), Len: uint64(sp.n), Zero: sp.zero()}
		if sp.takenOver() {
			r.Block = sp.lent.Ref
			j.made = append(j.made, r.Block.Digest)
		}
		e.Changed = append(e.Changed, r)
	}
	node := j.n.id
	return content.Splice(ctx, old.Tree, e, func(b blocks.Sealed) error {
		if err := fs.cfg.Store.Stage(ctx, node, b); err != nil {
			return err
		}
		j.made = append(j.made, b.Digest)
		return nil
	})
}

// takenOver reports whether the block that s shows becomes one of the file. Small ones, which only the end of theirs
// has cut off, are cut anew with what is beside them.
func (s span) takenOver() bool {
	return s.lent != nil && s.n == int64(s.lent.Length) && s.n >= chunker.Min
}

// below is the tree under the frozen changes; where they leave nothing of it to be seen,
// the empty one, so that a file can be replaced whose old bytes cannot be had.
func (s *saver) below(ctx context.Context, j *job) (sourced, error) {
	if covered := j.f.frozen.covers(j.size); covered {
		t, err := content.Load(ctx, s.fs.cfg.Blocks, s.fs.cfg.Sealer, blocks.Content{})
		return sourced{t, s.fs.cfg.Blocks}, err
	}
	return s.fs.load(ctx, j.n)
}

// covers reports whether the layer hides everything below it in [0, size).
func (l *layer) covers(size int64) bool {
	next := int64(0)
	for _, s := range l.spans {
		if s.off > next {
			break
		}
		next = s.end()
	}
	return next >= size
}

// editReader reads a file as its frozen changes leave it.
type editReader struct {
	fs   *FS
	ctx  context.Context
	over *layer
	tree sourced
}

func (r *editReader) ReadAt(p []byte, off int64) (int, error) {
	var err error
	r.over.visit(off, int64(len(p)), func(s span, covered bool) {
		dst := p[s.off-off:][:s.n]
		switch {
		case err != nil:
		case !covered:
			err = r.fs.readInto(r.ctx, r.tree, gap{off: s.off, n: s.n}, dst)
		case s.lent != nil:
			err = r.fs.readInto(r.ctx, sourced{}, gap{off: s.at, n: s.n, lent: s.lent}, dst)
		case s.buf != nil:
			copy(dst, s.bytes())
		default:
			clear(dst)
		}
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

var _ io.ReaderAt = (*editReader)(nil)

// readInto fills p, which is as long as g; beyond the end of the tree with zeros.
func (fs *FS) readInto(ctx context.Context, t sourced, g gap, p []byte) error {
	b := Bytes{cache: fs.plain}
	defer b.Done()
	if err := fs.fill(ctx, namespace.NodeID{}, t, g, false, &b); err != nil {
		return err
	}
	for _, s := range b.Slices {
		p = p[copy(p, s):]
	}
	return nil
}

// fail ends a job that could not be done and has it tried again later. n.mu is held.
func (s *saver) fail(j *job, err error) {
	f, n := j.f, j.n
	s.jobs.Add(-1)
	f.err, f.saving, f.want = err, false, f.want || j.commit
	close(f.done)
	f.done = make(chan struct{})
	s.progress(err)
	s.outcome(err)
	if s.fs.ctx.Err() == nil {
		if times := s.fold.Add(errs.KindOf(err)); times > 0 {
			s.fs.log.Warn("changes could not be saved; they stay in memory, and it is tried again",
				"err", err, "failures", times, "files", s.pending())
		}
	}
	s.retry(n)
	s.fs.detach(n)
}

const retryAfter = 3 * time.Second

// retry sees to another attempt, one at a time for each file. n.mu is held.
func (s *saver) retry(n *inode) {
	f := n.file
	if f.resting {
		return
	}
	f.resting = true
	s.fs.table.repin(n)
	time.AfterFunc(retryAfter, func() {
		n.mu.Lock()
		f.resting = false
		if n.file == f && f.touched {
			s.enqueue(n, false)
		}
		n.mu.Unlock()
		s.fs.table.unpin(n)
	})
}

// finish ends a job. n.mu is held.
func (s *saver) finish(j *job) {
	f, n := j.f, j.n
	s.jobs.Add(-1)
	if j.commit {
		s.outcome(nil)
	}
	f.saving = false
	close(f.done)
	f.done = make(chan struct{})
	s.again(n)
	s.fs.detach(n)
}
