package fs

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// The root has a directory more than it lists: .shelf/history/TIME shows the tree as this device
// showed it then, read-only. history lists times at which something changed; any other time of the
// past can be looked up as well. Nodes of the past are inodes of their own, which know what they
// show; the namespace never hears of them, so whatever would change them is ReadOnly.

// ShelfDir is the name, in the root, of the directory that is not listed.
const ShelfDir = ".shelf"

const historyDir = "history"

// Past tells what this device showed before; *namespace.Replica does.
type Past interface {
	LookupAt(dir namespace.NodeID, name string, when int64) (namespace.Entry, error)
	At(dir namespace.NodeID, when int64) ([]namespace.Entry, error)
	XattrAt(id namespace.NodeID, name string, when int64) ([]byte, error)
	ListXattrAt(id namespace.NodeID, when int64) ([]string, error)
	Moments() ([]time.Time, error)
	LastShown(id namespace.NodeID) (namespace.Entry, error)
}

// past is what an inode of the past shows. It never changes.
type past struct {
	kind  pastKind
	when  int64           // nanoseconds; of shown
	entry namespace.Entry // of shown: of the real node; what stat tells
}

type pastKind uint8

const (
	pastShelf   pastKind = iota // .shelf
	pastHistory                 // .shelf/history
	pastShown                   // a node as of a time; the root is .shelf/history/TIME
)

// timeNames are the forms of a name below history, the longest first; they are local times.
var timeNames = [...]string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// timeName is the shortest name of a time that is the beginning of something.
func timeName(t time.Time) string {
	h, m, s := t.Clock()
	switch {
	case s != 0:
		return t.Format(timeNames[0])
	case h != 0 || m != 0:
		return t.Format(timeNames[1])
	}
	return t.Format(timeNames[2])
}

func parseTimeName(name string, zone *time.Location) (time.Time, bool) {
	for _, l := range timeNames {
		if t, err := time.ParseInLocation(l, name, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// node is the id that stands for it in the table.
func (p *past) node() (id namespace.NodeID) {
	h := sha256.New()
	h.Write([]byte("shelf1/past\x00"))
	h.Write([]byte{byte(p.kind)})
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(p.when)))
	h.Write(p.entry.ID[:])
	h.Write(p.entry.Parent[:])
	h.Write([]byte(p.entry.Name))
	copy(id[:], h.Sum(nil))
	id[len(id)-1] &^= 1
	if p.entry.Kind == namespace.Dir {
		id[len(id)-1] |= 1
	}
	return id
}

// madeUp is a directory that no namespace has.
func (fs *FS) madeUp(kind pastKind, when int64) *past {
	return &past{kind: kind, when: when, entry: namespace.Entry{
		ID: namespace.Root, Kind: namespace.Dir, Mode: 0o555, UID: OwnerID, GID: OwnerID, Nlink: 1, Mtime: when, Ctime: when, Atime: when}}
}

// hides reports whether a name in a directory is that of the directory that is not listed. One of
// the share with this name goes before.
func (fs *FS) hides(dir *inode, name string) bool {
	if name != ShelfDir || fs.cfg.Past == nil || dir.id != namespace.Root {
		return false
	}
	_, err := fs.cfg.Names.Lookup(namespace.Root, name)
	return errs.Is(err, errs.NotExist)
}

// lookupPast is Lookup below .shelf.
func (fs *FS) lookupPast(d *past, name string) (*past, error) {
	const op = "fs.Lookup"
	none := errs.E(op, errs.NotExist, "", nil)
	switch d.kind {
	case pastShelf:
		if name != historyDir {
			return nil, none
		}
		return fs.madeUp(pastHistory, 0), nil
	case pastHistory:
		now := fs.cfg.Clock()
		t, ok := parseTimeName(name, now.Location())
		if !ok {
			return nil, none
		}
		if t.After(now) { // not NotExist: a kernel would remember it
			return nil, errs.E(op, errs.Invalid, "", nil)
		}
		return fs.madeUp(pastShown, t.UnixNano()), nil
	}
	if d.entry.Kind != namespace.Dir {
		return nil, errs.E(op, errs.NotDir, "", nil)
	}
	lookup := fs.cfg.Past.LookupAt
	if fs.spelled != nil {
		lookup = func(dir namespace.NodeID, name string, when int64) (namespace.Entry, error) {
			return fs.spelled.lookupPast(fs.cfg.Past, dir, name, when)
		}
	}
	e, err := lookup(d.entry.ID, name, d.when)
	if err != nil {
		return nil, err
	}
	return &past{kind: pastShown, when: d.when, entry: e}, nil
}

// mentionPast answers with a node of the past and counts it as known to the kernel.
func (fs *FS) mentionPast(p *past) Answer {
	n := fs.table.know(p.node())
	n.past.CompareAndSwap(nil, p)
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.past.Load().entry
	return Answer{Attr: fs.attr(n, &e), Cache: true, Name: true}
}

// listPast lists a directory below .shelf; the cookies are those of one open directory.
func (fs *FS) listPast(d *past) (out []namespace.DirEntry, err error) {
	add := func(e namespace.Entry) {
		out = append(out, namespace.DirEntry{Entry: e, Cookie: firstPast + uint64(len(out))})
	}
	switch d.kind {
	case pastShelf:
		e := fs.madeUp(pastHistory, 0).entry
		e.Name = historyDir
		add(e)
	case pastHistory:
		times, err := fs.cfg.Past.Moments()
		if err != nil {
			return nil, err
		}
		for _, t := range times {
			e := fs.madeUp(pastShown, t.UnixNano()).entry
			e.Name = timeName(t)
			add(e)
		}
	default:
		es, err := fs.cfg.Past.At(d.entry.ID, d.when)
		if err != nil {
			return nil, err
		}
		for _, e := range es {
			add(e)
		}
	}
	return out, nil
}

// firstPast is the first cookie of a listing of the past: those below are others'.
const firstPast = 16

// child is what an entry of a listing of d stands for.
func (fs *FS) child(d *past, e *namespace.Entry) *past {
	switch d.kind {
	case pastShelf:
		return fs.madeUp(pastHistory, 0)
	case pastHistory:
		return fs.madeUp(pastShown, e.Mtime)
	}
	return &past{kind: pastShown, when: d.when, entry: *e}
}

// writable is table.get for what is to be changed.
func (fs *FS) writable(i Ino) (*inode, error) {
	n, err := fs.table.get(i)
	if err == nil && n.past.Load() != nil {
		err = readOnly()
	}
	return n, err
}

// writableName is writable for a directory in which a name is to be changed. Exist, for a name that
// is to be made there.
func (fs *FS) writableName(dir Ino, name string) (*inode, error) {
	d, err := fs.writable(dir)
	if err == nil && fs.hides(d, name) {
		err = readOnly()
	}
	return d, err
}

func readOnly() error { return errs.E("fs", errs.ReadOnly, "", nil) }

// readPast is from for a directory of the past, which is read once.
func (d *Dir) readPast(p *past, cookie uint64) (listing, error) {
	if d.batch.es == nil {
		es, err := d.fs.listPast(p)
		if err != nil {
			return listing{}, err
		}
		if d.batch.es = es; d.fs.spelled != nil && p.kind == pastShown {
			d.batch.shown = d.fs.spelled.showPast(es)
		}
	}
	if cookie < firstPast {
		return d.batch, nil
	}
	return d.batch.from(int(min(cookie-firstPast+1, uint64(len(d.batch.es))))), nil
}
