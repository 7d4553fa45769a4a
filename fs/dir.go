package fs

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Dir is an open directory.
type Dir struct {
	fs *FS
	n  *inode

	mu    sync.Mutex
	batch listing // read ahead, in order
	after uint64  // namespace cookie after which batch begins
	at    moment  // before batch was read
	ahead int     // how many were asked for

	foreign atomic.Uint64 // of fs, when the listing was begun
}

// listing is a part of a directory. shown are the names as they show; nil: as they are.
type listing struct {
	es    []namespace.DirEntry
	shown []string
}

// from is the rest of it.
func (l listing) from(i int) listing {
	l.es = l.es[i:]
	if l.shown != nil {
		l.shown = l.shown[i:]
	}
	return l
}

func (l listing) name(i int) string {
	if l.shown != nil {
		return l.shown[i]
	}
	return l.es[i].Name
}

// Dirent is one entry of a directory. Offset is where to go on after it.
type Dirent struct {
	Name   string
	Ino    Ino
	Kind   namespace.Kind
	Offset uint64
	// Entry is set for all but "." and "..": what Mention takes.
	Entry *namespace.Entry
	at    moment // before Entry was read
}

// Offsets 1 and 2 come after "." and ".."; the others are the namespace's cookies, which
// leave these to us.
const firstEntry = 2

// How many entries are read at a time: more and more of a directory that is read on and on, as each costs the less
// the more are read at once (namespace.List), which others wait for.
const (
	dirBatch = 256
	maxBatch = 8 << 10
)

// Opendir opens the directory i.
func (fs *FS) Opendir(_ context.Context, i Ino) (*Dir, error) {
	n, err := fs.table.get(i)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := fs.entry(n)
	if err != nil {
		return nil, err
	}
	if e.Kind != namespace.Dir {
		return nil, errs.E("fs.Opendir", errs.NotDir, "", nil)
	}
	if n.past.Load() == nil {
		n.listings, n.listed = n.listings+1, &e
	}
	d := &Dir{fs: fs, n: n}
	d.foreign.Store(fs.foreign.Load())
	return d, nil
}

// Keeps reports whether a kernel may keep the listing until it is told that it changed. Those of the past
// grow, and nobody tells.
func (d *Dir) Keeps() bool { return d.n.past.Load() == nil }

// recheck has the kernel forget a listing amid which something changed elsewhere: it was told of that,
// but perhaps before it had the answer that is too old.
func (d *Dir) recheck() {
	if now := d.fs.foreign.Load(); d.foreign.Swap(now) != now && d.Keeps() {
		d.fs.tellBytes(d.n.ino)
	}
}

// Close ends the listing; it must be called once.
func (d *Dir) Close() {
	d.recheck()
	n := d.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listings > 0 {
		if n.listings--; n.listings == 0 {
			n.listed = nil
			d.fs.unlose(n)
		}
	}
}

// Read calls fn with the entries after an offset (0: from the beginning) until fn returns
// false or there are no more. An entry that stays is reported once, whatever happens to
// others meanwhile; offsets stay good for as long as the entry is there, and after.
func (d *Dir) Read(_ context.Context, offset uint64, fn func(Dirent) bool) error {
	if offset < 1 {
		if !fn(Dirent{Name: ".", Ino: d.n.ino, Kind: namespace.Dir, Offset: 1}) {
			return nil
		}
	}
	if offset < firstEntry {
		if !fn(Dirent{Name: "..", Ino: d.parent(), Kind: namespace.Dir, Offset: firstEntry}) {
			return nil
		}
		offset = 0
	} else if offset == firstEntry {
		offset = 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if offset == 0 && d.n.past.Load() == nil { // begun anew: what was made since shows
		d.batch = listing{}
	}
	for cookie := offset; ; {
		batch, err := d.from(cookie)
		if err != nil {
			return err
		}
		if len(batch.es) == 0 {
			d.recheck()
			return nil
		}
		for i := range batch.es {
			e := &batch.es[i]
			if !fn(Dirent{
				Name: batch.name(i), Ino: d.numberOf(&e.Entry), Kind: e.Kind, Offset: e.Cookie,
				Entry: &e.Entry, at: d.at,
			}) {
				return nil
			}
			cookie = e.Cookie
		}
	}
}

// from returns entries after cookie: what is left of the batch if nothing has changed
// since, otherwise a new one. d.mu is held.
func (d *Dir) from(cookie uint64) (listing, error) {
	at, n := d.fs.moment(), dirBatch
	if len(d.batch.es) > 0 && d.n.past.Load() == nil && d.at.foreign == at.foreign {
		if d.after == cookie {
			return d.batch, nil
		}
		i, found := slices.BinarySearchFunc(d.batch.es, cookie, func(e namespace.DirEntry, c uint64) int { return cmp.Compare(e.Cookie, c) })
		switch {
		case found && i+1 < len(d.batch.es):
			return d.batch.from(i + 1), nil
		case found:
			n = min(4*d.ahead, maxBatch)
		}
	}
	if p := d.n.past.Load(); p != nil {
		return d.readPast(p, cookie)
	}
	d.n.mu.Lock()
	gone := d.n.away() != nil
	d.n.mu.Unlock()
	if gone { // removed while it was open: it is empty
		return listing{}, nil
	}
	var batch listing
	var err error
	batch.es, err = d.fs.cfg.Names.List(d.n.id, cookie, n)
	if err == nil && d.fs.spelled != nil {
		batch.shown, err = d.fs.spelled.show(d.n.id, batch.es)
	}
	if errs.Is(err, errs.Stale) || errs.Is(err, errs.NotExist) {
		return listing{}, nil
	}
	if err != nil {
		return listing{}, err
	}
	d.batch, d.after, d.at, d.ahead = batch, cookie, at, n
	return batch, nil
}

// numberOf is the number of an entry.
func (d *Dir) numberOf(e *namespace.Entry) Ino {
	if p := d.n.past.Load(); p != nil {
		return d.fs.table.numberOf(d.fs.child(p, e).node())
	}
	return d.fs.table.numberOf(e.ID)
}

// parent is the number for "..".
func (d *Dir) parent() Ino {
	id := d.n.id
	if id == namespace.Root {
		return RootIno
	}
	e, err := d.fs.cfg.Names.Get(id)
	if err != nil {
		return RootIno
	}
	return d.fs.table.numberOf(e.Parent)
}

// Mention answers with the attributes of an entry and counts one mention to the kernel,
// for a listing that carries attributes (readdirplus). It reports false, and counts nothing,
// if the entry went since the listing was begun.
func (d *Dir) Mention(e Dirent) (Answer, bool) {
	if p := d.n.past.Load(); p != nil {
		return d.fs.mentionPast(d.fs.child(p, e.Entry)), true
	}
	if d.fs.done.Load() == e.at.done {
		return d.fs.mention(*e.Entry, e.at, d.fs.keeps(e.Entry, e.Name)), true
	}
	at := d.fs.moment()
	now, err := d.fs.cfg.Names.Lookup(d.n.id, e.Name)
	if err != nil || now.ID != e.Entry.ID {
		return Answer{}, false
	}
	return d.fs.mention(now, at, d.fs.keeps(&now, e.Name)), true
}

// Sync returns when what was done to the directory before is durable.
func (d *Dir) Sync(ctx context.Context) error { return d.fs.syncNames(ctx, false) }
