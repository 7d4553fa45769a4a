package fs

import (
	"context"
	"io"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
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
	made   []blocks.Digest
	err    error // why it could not be committed

	before, after blocks.Content // what the record named before and names now
	keep          []blocks.Digest
	several       bool // sealed more than once: not all of keep is in after
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
	if f.saving || !f.touched {
		return nil
	}
	j := &job{n: n, f: f, gen: f.gen, size: f.size, mtime: f.mtime, commit: f.want && n.gone == nil}
	if !j.commit && f.dirty.empty() {
		return nil
	}
	f.want, f.saving = false, true
	f.splices++
	f.frozen, f.dirty = f.dirty, layer{mem: &s.fs.mem}
	return j
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
	f.tree = tree
	f.frozen.drop()
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
		return old, nil // only the times changed
	}
	e := content.Edit{New: &editReader{fs: fs, ctx: ctx, over: &f.frozen, tree: old}, Size: uint64(j.size)}
	for _, sp := range f.frozen.spans {
		e.Changed = append(e.Changed, content.Range{Off: uint64(sp.off), Len: uint64(sp.n), Zero: sp.buf == nil})
	}
	node := j.n.node()
	return content.Splice(ctx, old, e, func(b blocks.Sealed) error {
		if err := fs.cfg.Store.Stage(ctx, node, b); err != nil {
			return err
		}
		j.made = append(j.made, b.Digest)
		return nil
	})
}

// below is the tree under the frozen changes; where they leave nothing of it to be seen,
// the empty one, so that a file can be replaced whose old bytes cannot be had.
func (s *saver) below(ctx context.Context, j *job) (*content.Tree, error) {
	if covered := j.f.frozen.covers(j.size); covered {
		return content.Load(ctx, s.fs.cfg.Blocks, s.fs.cfg.Sealer, blocks.Content{})
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
	tree *content.Tree
}

func (r *editReader) ReadAt(p []byte, off int64) (int, error) {
	var err error
	r.over.visit(off, int64(len(p)), func(at, n int64, data []byte, zero bool) {
		dst := p[at-off : at-off+n]
		switch {
		case data != nil:
			copy(dst, data)
		case zero:
			clear(dst)
		case err == nil:
			err = r.fs.readTree(r.ctx, r.tree, dst, at)
		}
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

var _ io.ReaderAt = (*editReader)(nil)

// readTree fills p from the tree; beyond its end with zeros.
func (fs *FS) readTree(ctx context.Context, t *content.Tree, p []byte, off int64) error {
	b := Bytes{cache: fs.plain}
	defer b.Done()
	if err := fs.fill(ctx, t, gap{off: off, n: int64(len(p))}, &b); err != nil {
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
	f.err, f.saving, f.want = err, false, f.want || j.commit
	close(f.done)
	f.done = make(chan struct{})
	s.progress(err)
	if s.fs.ctx.Err() == nil {
		s.fs.log.Warn("a file could not be saved; its changes stay in memory", "err", err)
	}
	s.fs.table.repin(n)
	time.AfterFunc(retryAfter, func() {
		n.mu.Lock()
		if n.file == f && f.touched {
			s.enqueue(n, false)
		}
		n.mu.Unlock()
		s.fs.table.unpin(n)
	})
	s.fs.detach(n)
}

const retryAfter = 3 * time.Second

// finish ends a job. n.mu is held.
func (s *saver) finish(j *job) {
	f, n := j.f, j.n
	f.saving = false
	close(f.done)
	f.done = make(chan struct{})
	if f.touched && n.gone == nil && (f.want || f.dirty.held >= earlySeal) {
		s.enqueue(n, false)
	}
	s.fs.detach(n)
}

// commitLoop writes the records of files whose blocks are staged.
func (s *saver) commitLoop() {
	for group := range s.toCommit.groups(s.fs.ctx) {
		err := s.fs.cfg.Store.Sync(s.fs.ctx)
		for _, j := range group {
			s.commit(j, err)
		}
		s.toSettle.put(group...)
	}
}

// commit writes one record; syncErr says that the blocks are not durable.
func (s *saver) commit(j *job, syncErr error) {
	fs, n, f := s.fs, j.n, j.f
	n.mu.Lock()
	defer n.mu.Unlock()
	if syncErr != nil {
		j.err = syncErr
		return
	}
	if n.gone != nil {
		return
	}
	c, mtime := f.tree.Content(), j.mtime
	if f.gen == j.gen {
		mtime = f.mtime // may have been set since
	}
	e, err := fs.record(f, c, mtime)
	if err != nil {
		j.err = err
		return
	}
	j.before, j.after, j.keep, j.several = f.entry.Content, c, f.emitted, f.splices > 1
	f.emitted, f.splices, f.err, f.saved = nil, 0, nil, j.gen
	shown := e.Content == c
	if f.gen == j.gen {
		f.touched, f.base = false, nil
		s.clean(n)
		if f.entry = e; !shown {
			f.tree, f.size = nil, int64(e.Content.Size)
		}
	} else if f.entry = e; shown {
		f.base, f.since = e.Versions, fs.now()
	}
	if !shown { // another device's version is newer: ours is the conflict copy
		fs.tell(n.ino)
	}
	close(f.done)
	f.done = make(chan struct{})
}

// record commits c as the bytes of f, and the access time if one was set. n.mu is held.
func (fs *FS) record(f *file, c blocks.Content, mtime int64) (namespace.Entry, error) {
	id := f.n.node()
	done := fs.expect(changeKey{what: namespace.ContentChanged, node: id}, changeKey{what: namespace.AttrChanged, node: id})
	e, err := fs.cfg.Names.Commit(id, f.base, c, mtime)
	if err == nil && f.atime != nil {
		ch := namespace.AttrChange{Atime: f.atime}
		f.atime = nil
		if with, err := fs.cfg.Names.SetAttr(id, ch); err == nil { // worth no second attempt
			e = with
		}
	}
	done(err)
	return e, err
}

// settleLoop gives blocks to the records that name them, once these are durable.
func (s *saver) settleLoop() {
	for group := range s.toSettle.groups(s.fs.ctx) {
		err := s.fs.cfg.Names.Sync(s.fs.ctx)
		for _, j := range group {
			if err == nil && j.keep != nil {
				s.settle(j)
			}
			j.n.mu.Lock()
			if j.err != nil {
				s.fail(j, j.err)
			} else {
				s.finish(j)
			}
			j.n.mu.Unlock()
		}
	}
}

func (s *saver) settle(j *job) {
	keep := j.keep
	if j.several {
		keep = s.stillNamed(j)
	}
	if err := s.fs.cfg.Store.Settle(j.n.node(), keep...); err != nil {
		s.fs.log.Warn("blocks of a saved file were not settled", "err", err)
	}
}

// stillNamed drops from keep what an early sealing made and a later one replaced.
func (s *saver) stillNamed(j *job) []blocks.Digest {
	made := digestSet(j.keep)
	var keep []blocks.Digest
	for d, err := range content.Diff(s.fs.ctx, s.fs.cfg.Blocks, s.fs.cfg.Sealer, j.before, j.after) {
		if err != nil {
			return j.keep // better too much
		}
		if _, ok := made[d]; ok {
			keep = append(keep, d)
			delete(made, d)
		}
	}
	return keep
}
