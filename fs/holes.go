package fs

import (
	"sync"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace"
)

// What stat tells of blocks leaves holes out, as far as they are known without reading: a record has a
// file's size, only its manifest has the holes. So what was seen of them while a file was in use is
// kept, for files that have any. Of others, and of those never used here, the size is the answer.

// Holes keeps how many bytes of a node's contents are no holes; *holes.Table does. It is no more than a
// memory: what it loses is learnt again.
type Holes interface {
	Set(id namespace.NodeID, root blocks.Digest, stored uint64) error
	Delete(id namespace.NodeID) error
	Each(fn func(id namespace.NodeID, root blocks.Digest, stored uint64)) error
}

type sparse struct {
	root   blocks.Digest
	stored uint64
}

type knownHoles struct {
	mu sync.RWMutex
	of map[namespace.NodeID]sparse
}

// recallHoles reads what was kept, and drops what is of other contents than those shown now.
func (fs *FS) recallHoles() {
	fs.holes.of = map[namespace.NodeID]sparse{}
	if fs.cfg.Holes == nil {
		return
	}
	err := fs.cfg.Holes.Each(func(id namespace.NodeID, root blocks.Digest, stored uint64) {
		fs.holes.of[id] = sparse{root, stored}
	})
	for id, s := range fs.holes.of {
		if e, err := fs.cfg.Names.Get(id); err != nil || e.Content.Root != s.root {
			fs.setHoles(id, nil)
		}
	}
	if err != nil {
		fs.log.Warn("what was known of holes in files is not known any more", "err", err)
	}
}

// setHoles notes that the contents s of id have holes; nil: that they have none.
func (fs *FS) setHoles(id namespace.NodeID, s *sparse) {
	fs.holes.mu.Lock()
	was, there := fs.holes.of[id]
	same := there == (s != nil) && (s == nil || was == *s)
	if s == nil {
		delete(fs.holes.of, id)
	} else {
		fs.holes.of[id] = *s
	}
	fs.holes.mu.Unlock()
	if same || fs.cfg.Holes == nil {
		return
	}
	var err error
	if s == nil {
		err = fs.cfg.Holes.Delete(id)
	} else {
		err = fs.cfg.Holes.Set(id, s.root, s.stored)
	}
	if err != nil {
		fs.log.Debug("holes of a file are not kept", "err", err)
	}
}

// learnHoles notes what is known of f when it goes out of use. n.mu is held.
func (fs *FS) learnHoles(f *file) {
	id := f.n.id
	if f.n.gone != nil {
		fs.setHoles(id, nil)
		return
	}
	if f.tree == nil || f.tree.Content() != f.entry.Content || f.n.past.Load() != nil {
		return
	}
	c := f.tree.Content()
	switch n, ok := f.tree.Stored(); {
	case ok && c.Depth > 0 && n < c.Size:
		fs.setHoles(id, &sparse{c.Root, n})
	case ok:
		fs.setHoles(id, nil)
	}
}

// leastHole is the size below which a file counts whole: zeros that a program wrote are holes once they
// are saved, too, and of most files stat is to tell the same before and after.
const leastHole = 64 << 10

// stored is how many bytes of c, the contents of id, are no holes.
func (fs *FS) stored(id namespace.NodeID, c blocks.Content) int64 {
	switch {
	case c.Size < leastHole:
	case c.Root.IsZero():
		return 0
	case c.Depth > 0:
		fs.holes.mu.RLock()
		s, ok := fs.holes.of[id]
		fs.holes.mu.RUnlock()
		if ok && s.root == c.Root {
			return int64(s.stored)
		}
	}
	return int64(c.Size)
}

// storedNow is stored for a file in use: what is unsaved counts until it is saved, what was punched, too.
// n.mu is held.
func (fs *FS) storedNow(f *file) int64 {
	if f.size < leastHole {
		return f.size
	}
	c := f.entry.Content
	if f.tree != nil {
		c = f.tree.Content()
	}
	below := fs.stored(f.n.id, c)
	if f.tree != nil {
		if n, ok := f.tree.Stored(); ok {
			below = int64(n)
		}
	}
	return min(f.size, below+f.frozen.held+f.frozen.lent+f.dirty.held+f.dirty.lent)
}
