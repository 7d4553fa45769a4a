package fs

import (
	"errors"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// follow tells the kernel what changed without its doing, in the order in which it
// happened, until FS or the source of changes is closed.
func (fs *FS) follow() {
	for {
		changes, err := fs.cfg.Changes.Next(fs.ctx)
		if err != nil {
			if fs.ctx.Err() == nil && !errs.Is(err, errs.Closed) {
				fs.log.Error("changes of the namespace can no longer be followed", "err", err)
			}
			return
		}
		foreign := changes[:0:0]
		now := fs.cfg.Clock()
		for i := range changes {
			if own := fs.own.take(&changes[i], now); !own || changes[i].Remote {
				foreign = append(foreign, changes[i])
			}
		}
		if len(foreign) == 0 {
			continue
		}
		// First the count, then the table: an answer that is being made either sees the
		// new count and is not kept, or is in the table by now and is taken back.
		fs.foreign.Add(1)
		for i := range foreign {
			fs.apply(&foreign[i])
		}
	}
}

func (fs *FS) apply(c *namespace.Change) {
	switch c.What {
	case namespace.ContentChanged, namespace.AttrChanged:
		fs.refreshNode(c.Node)
		fs.invalidate(c.Node, c.What == namespace.ContentChanged)
	case namespace.NameChanged:
		fs.renamed(c)
	case namespace.Overflow:
		fs.forgetAll()
	}
	fs.announce(c)
}

// refresh shows the new bytes of a file that is open here without changes of its own, and of one
// that was removed and is back; it notes what was removed elsewhere. It reports whether the bytes are
// others now.
func (fs *FS) refresh(n *inode) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	was, open := n.last()
	switch {
	case n.gone != nil:
		fs.back(n)
	case !open:
		return false
	default:
		if e, err := fs.entry(n); err == nil && n.file != nil {
			n.file.adopt(e)
		}
	}
	return n.file != nil && n.file.entry.Content != was.Content
}

// refreshNode is refresh for a node that need not be in use.
func (fs *FS) refreshNode(id namespace.NodeID) bool {
	n := fs.table.findPinned(id)
	if n == nil {
		return false
	}
	defer fs.table.unpin(n)
	return fs.refresh(n)
}

// invalidate tells the kernel about an inode, if it has it.
func (fs *FS) invalidate(id namespace.NodeID, data bool) {
	if ino, ok := fs.table.isKnown(id); ok {
		fs.tell(ino, func(k Invalidator) error { return k.Inode(ino, data) }, func() bool {
			_, ok := fs.table.isKnown(id)
			return ok
		})
	}
}

// renamed tells the kernel that a name means something else.
func (fs *FS) renamed(c *namespace.Change) {
	dir, ok := fs.table.isKnown(c.Parent)
	if !ok {
		return
	}
	fs.refreshNode(c.Old)
	name := c.Name
	tell := func(k Invalidator) error { return k.Entry(dir, name) }
	if old, ok := fs.table.isKnown(c.Old); ok {
		switch now, err := fs.cfg.Names.Get(c.Old); {
		case errs.Is(err, errs.Stale) && c.Node.IsZero(): // shown nowhere any more
			tell = func(k Invalidator) error { return k.Gone(dir, old, name) }
		case err == nil && c.Old.IsDir() && now.Parent != c.Parent:
			// The kernel could take along what it knows below, but not while somebody works in the folder that this
			// has left: the first lookup would fail (ESTALE).
			tell = func(k Invalidator) error { return k.Left(dir, name) }
		}
	}
	fs.tell(dir, tell, nil)
	fs.invalidate(c.Parent, true) // its times, its listing
	if c.Old != c.Node {
		fs.invalidate(c.Old, false) // its link count; somebody may hold it
	}
	if !c.Node.IsZero() {
		others := fs.refreshNode(c.Node) // it may have been removed, and be back with other bytes
		fs.invalidate(c.Node, others)    // its link count
	}
}

// An answer that mentions an inode may still be on its way to the kernel, which then does
// not know yet what it is told to forget: it is told again, soon and a little later.
var again = []time.Duration{2 * time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond}

// tell puts a notification into the lane of inode i. With still, it is repeated while the
// kernel does not know what it is about though it was told of it.
func (fs *FS) tell(i Ino, fn func(Invalidator) error, still func() bool) {
	inv := fs.inval.Load()
	if inv == nil {
		return
	}
	fs.lanes.put(i, fs.wg.Go, func() {
		err := fn(*inv)
		if still == nil || !errs.Is(err, errs.NotExist) {
			fs.heard(err)
			return
		}
		fs.wg.Go(func() { fs.insist(*inv, fn, still) })
	})
}

func (fs *FS) insist(k Invalidator, fn func(Invalidator) error, still func() bool) {
	for _, d := range again {
		select {
		case <-time.After(d):
		case <-fs.ctx.Done():
			return
		}
		if !still() {
			return
		}
		if err := fn(k); !errs.Is(err, errs.NotExist) {
			fs.heard(err)
			return
		}
	}
}

// tellBytes has the kernel forget the cached bytes of an inode.
func (fs *FS) tellBytes(i Ino) {
	fs.tell(i, func(k Invalidator) error { return k.Inode(i, true) }, nil)
}

// heard notes an unexpected answer of the kernel.
func (fs *FS) heard(err error) {
	if err != nil && !errs.Is(err, errs.NotExist) && !errors.Is(err, fs.ctx.Err()) {
		fs.log.Debug("the kernel refused to forget", "err", err)
	}
}

// forgetAll takes back everything the kernel holds: some changes were not told apart. Of what it
// remembers not to exist that is the last that it asked for; the rest has a short life.
func (fs *FS) forgetAll() {
	for _, m := range fs.missed.take() {
		fs.tell(m.dir, func(k Invalidator) error { return k.Entry(m.dir, m.name) }, nil)
	}
	for ino, id := range fs.table.all() {
		fs.refreshNode(id)
		fs.tellBytes(ino)
		if e, err := fs.cfg.Names.Get(id); err == nil && id != namespace.Root {
			if dir, ok := fs.table.isKnown(e.Parent); ok {
				fs.tell(dir, func(k Invalidator) error { return k.Entry(dir, e.Name) }, nil)
			}
		}
	}
}
