package fs

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/namespace"
)

// file is the state of a regular file that is open or unsaved. All of it is guarded by
// the mu of its inode, except what a tree and a frozen layer hold, which never changes.
//
// The file's bytes are, from above: dirty, then frozen, then tree, and only below size.
// Whatever makes a file longer lays zeros over the new part, so that nothing old can
// shine through.
type file struct {
	n       *inode
	handles int // open handles
	writers int // of them, those that may write

	entry namespace.Entry // what the namespace shows, as far as was seen: what tree began from
	tree  *content.Tree   // nil: not loaded yet, entry.Content tells what it is
	from  Blocks          // who brings what of tree is not here; nil: whoever has it
	size  int64

	dirty  layer         // newest writes
	frozen layer         // being sealed: read-only
	saving bool          // a job is at work on this file
	paused chan struct{} // not nil: none may begin; closed when one may again

	touched bool            // differs from entry: must be committed
	base    []namespace.Dot // versions of entry that the first change since then had before it
	mtime   int64           // of the last change, or as set since
	ctime   int64
	atime   *int64 // set since the first change that is not committed
	changed int64  // clock at the last change, for the quiet second
	since   int64  // clock at the first change that is not committed
	parts   int64  // clock at the first of writes that may be parts of larger ones (parts.go); 0: the last was none

	gen     uint64 // counts changes
	saved   uint64 // gen of the last commit
	want    bool   // a commit is asked for (else only sealing)
	waiters int    // callers of saveAndWait
	emptied bool   // cut to nothing, neither changed nor handed over to be saved since
	queued  bool   // is in the saver's queue
	err     error  // why the last attempt to save failed; told once by Flush or Sync
	resting bool   // it failed a moment ago: the next attempt comes by itself
	done    chan struct{}

	promises promises

	emitted []blocks.Digest // sealed for this file, or lent to it, since the last commit
	splices int             // how many times since then
	staged  bool            // the store may keep blocks for it since then
}

// attach gives n its file state. n.mu is held; e is fresh. The caller counts handles.
func (fs *FS) attach(n *inode, e namespace.Entry) *file {
	if n.file == nil {
		fs.table.repin(n)
		f := &file{n: n, entry: e, size: int64(e.Content.Size), done: make(chan struct{})}
		f.dirty.mem, f.frozen.mem = &fs.mem, &fs.mem
		n.file = f
	} else {
		n.file.adopt(e)
	}
	return n.file
}

// detach drops the file state if nobody needs it. The changes of a file without a name stay as long as
// the kernel knows it: it may be opened once more by who holds it in another way (O_PATH). n.mu is held.
func (fs *FS) detach(n *inode) {
	f := n.file
	if f == nil || f.handles > 0 || f.saving || f.paused != nil || f.touched && (n.gone == nil || fs.table.mentioned(n)) {
		return
	}
	fs.learnHoles(f)
	f.dirty.drop()
	f.frozen.drop()
	if n.gone != nil { // who has a name commits, and settles, what was staged
		if f.staged {
			fs.saver.abandon(n.id)
		}
		f.dropPromises(fs)
	}
	fs.saver.clean(n)
	fs.lately.shown(&f.entry)
	n.file = nil
	fs.unlose(n)
	fs.table.unpin(n)
}

// adopt takes over what the namespace shows now; its bytes only if the file has no changes
// of its own.
// n.mu is held.
func (f *file) adopt(e namespace.Entry) {
	f.entry.Mode, f.entry.UID, f.entry.GID = e.Mode, e.UID, e.GID
	if f.touched || f.saving || f.n.gone != nil {
		return
	}
	if e.Content != f.entry.Content {
		f.tree, f.size = nil, int64(e.Content.Size)
	}
	f.entry = e
}

// touch notes a change of the bytes. n.mu is held.
func (fs *FS) touch(f *file) {
	now := fs.now()
	if !f.touched {
		f.touched, f.base, f.since = true, f.entry.Versions, now
	}
	f.gen++
	f.emptied = false
	f.n.since.attrs.Atime, f.n.since.attrs.Mtime = nil, nil
	f.mtime, f.ctime, f.changed = now, now, now
	fs.saver.dirty(f.n)
}

// write and zero lay bytes over the range from off on, which ends below the size. n.mu is held; the
// caller touches.
func (f *file) write(off int64, p []byte) {
	f.dirty.write(off, p)
	f.promises.note(off, off+int64(len(p)))
}

func (f *file) zero(off, n int64) {
	f.dirty.zero(off, n)
	f.promises.note(off, off+n)
}

// reach lays zeros from the end of the file to off. n.mu is held; the caller touches.
func (f *file) reach(off int64) {
	if off > f.size {
		f.zero(f.size, off-f.size)
	}
}

// resize sets the size. n.mu is held; the caller touches.
func (f *file) resize(size int64) {
	if size > f.size {
		f.zero(f.size, size-f.size)
	} else {
		f.dirty.truncate(size)
	}
	f.size = size
}

// empty cuts the file to nothing. Who does this to a file that is open to write is about to
// write it anew: the nothing in between is not shown to other devices on the way, unless
// somebody waits for it or the new bytes are slow to come. n.mu is held.
func (fs *FS) empty(f *file) {
	f.resize(0)
	fs.touch(f)
	f.emptied = true
	if f.waiters == 0 {
		f.want = false
	}
}

// load returns the tree of n's file, of which nothing has been read yet, perhaps. n.mu is
// not held. The file state must stay (an open handle or a running job sees to it).
func (fs *FS) load(ctx context.Context, n *inode) (sourced, error) {
	for {
		n.mu.Lock()
		f := n.file
		if f == nil {
			n.mu.Unlock()
			return sourced{}, closed("fs.Read")
		}
		t, e := sourced{f.tree, f.from}, f.entry
		n.mu.Unlock()
		if t.Tree != nil {
			if t.from == nil {
				t.from = fs.cfg.Blocks
			}
			return t, nil
		}
		if t = fs.trees.find(n.id, e.Content); t.Tree == nil {
			var err error
			t.from = fs.from(e.Versions)
			if t.Tree, err = content.Load(ctx, fs.getter(n.id, t.from), fs.cfg.Sealer, e.Content); err != nil {
				return sourced{}, err
			}
			fs.trees.keep(n.id, e.Content, t)
		}
		n.mu.Lock()
		if f.tree == nil && f.entry.Content == e.Content {
			f.tree, f.from = t.Tree, t.from
		}
		n.mu.Unlock()
	}
}
