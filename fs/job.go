package fs

import (
	"context"
	"io"
	"time"

	"github.com/shelffs/shelf/blocks"
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
	made   []blocks.Digest // the blocks staged for it that the tree names
	err    error           // why it could not be committed

	before, after blocks.Content // what the record named before and names now
	keep          []blocks.Digest
	promised      uint64 // the number of the last promise that it makes needless
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
	if f.saving || f.still != nil || !f.touched {
		return nil
	}
	j := &job{n: n, f: f, gen: f.gen, size: f.size, mtime: f.mtime, commit: f.want && n.gone == nil}
	later := j.commit && s.fs.midway(f)
	if later && (f.dirty.empty() || f.dirty.held < earlySeal && s.short.Load() == 0) {
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
	f.emitted = append(f.emitted, j.made...)
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
		if sp.tree == nil {
			e.Changed = append(e.Changed, content.Range{Off: uint64(sp.off), Len: uint64(sp.n), Zero: sp.zero()})
		} else if e.Changed, err = j.takeOver(ctx, sp, e.Changed); err != nil {
			return nil, err
		}
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

// takeOver appends what s, which is of another tree, is made of: whole blocks are not to be read.
func (j *job) takeOver(ctx context.Context, s span, rs []content.Range) ([]content.Range, error) {
	for p, err := range s.tree.Range(ctx, uint64(s.at), uint64(s.n)) {
		if err != nil {
			return nil, err
		}
		from, to := max(int64(p.Off), s.at), min(int64(p.End()), s.at+s.n)
		r := content.Range{Off: uint64(s.off + from - s.at), Len: uint64(to - from), Zero: p.IsHole()}
		if r.Len == p.Length && !p.IsHole() {
			r.Block = p.Digest
			j.made = append(j.made, p.Digest)
		}
		rs = append(rs, r)
	}
	return rs, nil
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
			err = r.fs.readTree(r.ctx, r.tree, dst, s.off)
		case s.tree != nil:
			err = r.fs.readTree(r.ctx, *s.tree, dst, s.at)
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

// readTree fills p from the tree; beyond its end with zeros.
func (fs *FS) readTree(ctx context.Context, t sourced, p []byte, off int64) error {
	b := Bytes{cache: fs.plain}
	defer b.Done()
	if err := fs.fill(ctx, namespace.NodeID{}, t, gap{off: off, n: int64(len(p))}, &b); err != nil {
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
