package fs

import (
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// A group waits for more files while nobody waits for it: what it costs are the syncs, three of them,
// not the files. Where a group of many follows another it waits longer.
const (
	gather     = 2 * time.Millisecond
	gatherMore = 32 * time.Millisecond
	many       = 3
)

// commitLoop writes the records of files whose blocks are staged.
func (s *saver) commitLoop() {
	var last time.Time
	var size int // of the last group
	for group := range s.toCommit.groups(s.fs.ctx) {
		if s.waiting.Load() == 0 {
			if size >= many && time.Since(last) < gatherMore {
				s.gather(gatherMore)
			} else {
				s.gather(gather)
			}
			group = append(group, s.toCommit.take()...)
		}
		err := s.fs.cfg.Store.Sync(s.fs.ctx)
		for _, j := range group {
			s.commit(j, err)
		}
		s.toSettle.put(group...)
		last, size = time.Now(), len(group)
	}
}

// gather lets time pass, until somebody is in a hurry.
func (s *saver) gather(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.hurry:
	case <-s.fs.ctx.Done():
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
	changed := fs.shownChange(f)
	e, err := fs.record(f, c, mtime, j.promised)
	if err != nil {
		j.err = err
		return
	}
	n.shown, n.recorded = changed, e.Ctime
	j.before, j.after, j.keep, j.staged, j.several = f.entry.Content, c, f.emitted, f.staged, f.splices > 1
	f.emitted, f.splices, f.staged, f.err, f.saved = nil, 0, false, nil, j.gen
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
		fs.tellBytes(n.ino)
	}
	close(f.done)
	f.done = make(chan struct{})
}

// record commits c as the bytes of f, which ends its promises up to a number, and the access time if one
// was set. n.mu is held.
func (fs *FS) record(f *file, c blocks.Content, mtime int64, promised uint64) (namespace.Entry, error) {
	id := f.n.id
	var over []namespace.Also
	if p := &f.promises; p.kept < promised {
		over = append(over, fs.cfg.Journal.Forget(id, p.kept+1, promised))
	}
	done := fs.expect(changeKey{what: namespace.ContentChanged, node: id}, attrKey(id))
	e, err := fs.asBefore(f, c, mtime, over)
	if err != nil {
		e, err = fs.cfg.Names.Commit(id, f.base, c, mtime, over...)
	}
	if errs.Is(err, errs.Stale) && f.entry.ID == id { // the others have forgotten it
		f.n.keepWhole()
		e, err = fs.cfg.Names.CommitLost(f.entry, c, mtime, over...)
	}
	if err == nil {
		f.promises.kept = max(f.promises.kept, promised)
	}
	if err == nil && f.atime != nil {
		ch := namespace.AttrChange{Atime: f.atime}
		f.atime = nil
		if with, err := fs.cfg.Names.SetAttr(id, ch); err == nil { // worth no second attempt
			e = with
		}
	}
	if done(err); err == nil && f.n.lost != nil {
		e = fs.regain(f.n, e)
	}
	return e, err
}

// asBefore is record for bytes that are those that the program had found: to save them is no edit, so it
// stands against nobody else's. Stale if they are not, or the namespace shows the file nowhere.
func (fs *FS) asBefore(f *file, c blocks.Content, mtime int64, over []namespace.Also) (namespace.Entry, error) {
	var ch namespace.AttrChange
	now, err := fs.cfg.Names.Get(f.n.id)
	switch {
	case c != f.entry.Content || f.entry.ID != f.n.id || f.n.lost != nil:
		return now, errs.E("fs", errs.Stale, "", nil)
	case err != nil:
		return now, err
	case now.Content != c: // another device's bytes, with their time
	case mtime == namespace.Now:
		t := fs.now()
		ch.Mtime = &t
	default:
		ch.Mtime = &mtime
	}
	return fs.cfg.Names.SetAttr(f.n.id, ch, over...)
}

// settleLoop gives blocks to the records that name them, once these are durable.
func (s *saver) settleLoop() {
	for group := range s.toSettle.groups(s.fs.ctx) {
		if err := s.fs.cfg.Names.Sync(s.fs.ctx); err == nil {
			s.settle(group)
		}
		for _, j := range group {
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

func (s *saver) settle(group []*job) {
	keep := map[[16]byte][]blocks.Digest{}
	for _, j := range group {
		switch {
		case !j.staged:
		case j.several:
			keep[j.n.id] = s.stillNamed(j)
		default:
			keep[j.n.id] = j.keep
		}
	}
	if err := s.fs.cfg.Store.Settle(keep); err != nil {
		s.fs.log.Warn("blocks of saved files were not settled", "err", err)
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

func digestSet(ds []blocks.Digest) map[blocks.Digest]struct{} {
	m := make(map[blocks.Digest]struct{}, len(ds))
	for _, d := range ds {
		m[d] = struct{}{}
	}
	return m
}

// abandon frees what was staged for a node that will never be committed.
func (s *saver) abandon(id namespace.NodeID) { s.abandoned.put(id) }

func (s *saver) abandonLoop() {
	for ids := range s.abandoned.groups(s.fs.ctx) {
		none := map[[16]byte][]blocks.Digest{}
		for _, id := range ids {
			none[id] = nil
		}
		if err := s.fs.cfg.Store.Settle(none); err != nil {
			s.fs.log.Warn("blocks of removed files were not freed", "err", err)
		}
	}
}
