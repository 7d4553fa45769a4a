package fs

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// inode is what is kept of a node while a kernel knows it, or it is open or unsaved.
type inode struct {
	ino Ino

	known uint64 // how often the kernel was told of it and has not forgotten: table.mu
	pins  int    // handles and unsaved work: table.mu

	id   namespace.NodeID
	past atomic.Pointer[past] // not nil: a node of the past, with a made-up id
	read atomic.Bool          // it was, through a handle

	writes atomic.Int32 // under way: they may wait for memory

	mu   sync.Mutex
	file *file // nil unless open or unsaved
	// gone is what the node was when its last name was removed here while it was in use;
	// nil as long as the namespace shows it.
	gone *namespace.Entry
	// lost is what the node was when it was removed elsewhere while it was open: saving its bytes brings
	// it back.
	lost   *namespace.Entry
	xattrs goneXattrs // while gone or lost is set
	since  unseen
	// An open directory is counted, and remembered as the namespace showed it last.
	listings int
	listed   *namespace.Entry
	// nameless says that it was made without a name and has got none yet: the namespace knows nothing of it.
	nameless bool
	fewer    int64 // when a name was removed while others were left, ns since 1970
	// The ctime that was shown before the last commit, and that of the record, which is later.
	shown, recorded int64
}

// table holds the inodes in use, by number and by node.
type table struct {
	mu    sync.Mutex
	byIno map[Ino]*inode
	byID  map[namespace.NodeID]*inode
	root  *inode
}

func (t *table) init(root namespace.NodeID) {
	t.root = &inode{ino: RootIno, id: root, known: 1}
	t.byIno = map[Ino]*inode{RootIno: t.root}
	t.byID = map[namespace.NodeID]*inode{root: t.root}
}

// number is the inode number of a node, as long as no other living inode has it.
func number(id namespace.NodeID) Ino {
	sum := sha256.Sum256(id[:])
	return Ino(binary.BigEndian.Uint64(sum[:8]))
}

// usable tells numbers that mean something else: none, the root, and all ones, which
// adapters use for themselves.
func usable(i Ino) bool { return i > RootIno && i != ^Ino(0) }

// numberOf is the number that id has or would have.
func (t *table) numberOf(id namespace.NodeID) Ino {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.byID[id]; n != nil {
		return n.ino
	}
	return t.free(number(id))
}

func (t *table) free(i Ino) Ino {
	for !usable(i) || t.byIno[i] != nil {
		i++
	}
	return i
}

// know returns the inode of id and counts one more mention to the kernel.
func (t *table) know(id namespace.NodeID) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.enter(id)
	n.known++
	return n
}

func (t *table) enter(id namespace.NodeID) *inode {
	n := t.byID[id]
	if n == nil {
		n = &inode{ino: t.free(number(id)), id: id}
		t.byIno[n.ino], t.byID[id] = n, n
	}
	return n
}

// get returns a known inode. Stale for a number nobody was given.
func (t *table) get(i Ino) (*inode, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.byIno[i]; n != nil {
		return n, nil
	}
	return nil, errs.E("fs", errs.Stale, "", nil)
}

// findPinned returns the inode of id, kept until unpin; nil if it is not in the table.
func (t *table) findPinned(id namespace.NodeID) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[id]
	if n != nil {
		n.pins++
	}
	return n
}

// pinned is findPinned for a node that need not be in the table.
func (t *table) pinned(id namespace.NodeID) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.enter(id)
	n.pins++
	return n
}

// forget takes back count mentions. It returns the inode, if that is kept all the same, after the last.
func (t *table) forget(i Ino, count uint64) *inode {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byIno[i]
	if n == nil || n == t.root {
		return nil
	}
	n.known -= min(count, n.known)
	t.drop(n)
	if n.known > 0 || n.pins == 0 {
		return nil
	}
	return n
}

// mentioned reports whether the kernel holds n.
func (t *table) mentioned(n *inode) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return n.known > 0
}

func (t *table) repin(n *inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.pins++
}

func (t *table) unpin(n *inode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.pins--
	t.drop(n)
}

func (t *table) drop(n *inode) {
	if n.known > 0 || n.pins > 0 || n == t.root {
		return
	}
	delete(t.byIno, n.ino)
	delete(t.byID, n.id)
}

// isKnown reports whether the kernel holds the inode of id.
func (t *table) isKnown(id namespace.NodeID) (Ino, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.byID[id]
	if n == nil || n.known == 0 {
		return 0, false
	}
	return n.ino, true
}

// all returns the numbers and nodes of everything the kernel holds.
func (t *table) all() map[Ino]namespace.NodeID {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[Ino]namespace.NodeID, len(t.byIno))
	for i, n := range t.byIno {
		if n.known > 0 {
			out[i] = n.id
		}
	}
	return out
}

// size is the number of inodes held.
func (t *table) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byIno)
}
