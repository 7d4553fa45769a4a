package fs

import (
	"cmp"
	"slices"

	"github.com/shelffs/shelf/internal/namespace"
)

// held are inodes whose names are about to change, locked, so that no commit comes between: one after the
// removal of a file would bring it back, one amid a rename take back that its ctime moved.
type held []*inode

// hold locks those of the nodes that are in use; fs.release must be called. This alone locks several inodes at
// a time, in the order of their numbers.
func (fs *FS) hold(ids ...namespace.NodeID) held {
	var h held
	for _, id := range ids {
		if h.find(id) == nil {
			if n := fs.table.findPinned(id); n != nil {
				h = append(h, n)
			}
		}
	}
	slices.SortFunc(h, func(a, b *inode) int { return cmp.Compare(a.ino, b.ino) })
	for _, n := range h {
		n.mu.Lock()
		if n.lost != nil {
			_, _ = fs.entry(n) // it is back
		}
	}
	return h
}

func (fs *FS) release(h held) {
	for _, n := range h {
		n.mu.Unlock()
		fs.table.unpin(n)
	}
}

// find returns the inode of id, if it is held.
func (h held) find(id namespace.NodeID) *inode {
	for _, n := range h {
		if n.id == id {
			return n
		}
	}
	return nil
}
