package namespace

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
)

// named is what dir shows and showed under a name, newest first.
func (t *tx) named(dir NodeID, name string) (now *Entry, past []Former) {
	f := t.formerFolder(dir)
	if dir == Root || t.node(dir).placed {
		if e, ok := t.lookup(f, name); ok {
			now = &e
		}
	}
	for _, m := range f.members {
		past = append(past, t.formers(t.keys.formerName(m, name))...)
	}
	if len(f.members) > 1 {
		newestFirst(past)
	}
	return now, past
}

// formerFolder is the folder of a directory that may be gone.
func (t *tx) formerFolder(dir NodeID) folder {
	if dir == Root || t.node(dir).placed {
		return t.folder(dir)
	}
	return folder{dir, []NodeID{dir}}
}

func newestFirst(fs []Former) {
	slices.SortFunc(fs, func(a, b Former) int { return -a.Key.compare(b.Key) })
}

func (k FormerKey) compare(l FormerKey) int {
	return cmp.Or(cmp.Compare(k.Until, l.Until), cmp.Compare(k.Hash, l.Hash))
}

// Removed lists what was removed from a directory, which may itself be gone, and has not come
// back: for each name the last state, sorted by name. The children of a removed directory are
// found under its id.
func (r *Replica) Removed(dir NodeID) (out []Former, err error) {
	err = r.read(func(t *tx) error {
		f := t.formerFolder(dir)
		there := dir == Root || t.node(dir).placed
		last := map[string]Former{}
		for _, m := range f.members {
			for _, k := range t.lastKeys(m) {
				g, ok := t.former(k)
				if old, twice := last[g.Name]; ok && (!twice || old.Key.compare(g.Key) < 0) {
					last[g.Name] = g
				}
			}
		}
		for name, g := range last {
			if g.How == Moved || g.How == Overwritten {
				continue
			}
			if there {
				if _, back := t.lookup(f, name); back {
					continue
				}
			}
			out = append(out, g)
		}
		slices.SortFunc(out, func(a, b Former) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
	return out, err
}

// lastKeys is the newest row of each name that dir itself had.
func (t *tx) lastKeys(dir NodeID) (out []FormerKey) {
	prefix := t.keys.formerDir(dir)
	var name string
	t.fail(t.src.ScanKeys(prefix, func(k kv.Key) bool {
		at, ok := keyAt(k)
		if !ok || len(k) != len(prefix)+kv.HiddenLen+formerKeyLen {
			return true
		}
		if s := string(k[len(prefix) : len(prefix)+kv.HiddenLen]); s != name || len(out) == 0 {
			name, out = s, append(out, at)
		} else {
			out[len(out)-1] = at
		}
		return true
	}))
	return out
}

// At lists what a directory showed at a moment (nanoseconds, this device's clock), sorted by name.
// The directory may be gone. It holds up nobody.
func (r *Replica) At(dir NodeID, when int64) (out []Entry, err error) {
	const op = "namespace.At"
	if !dir.IsDir() {
		return nil, errs.E(op, errs.NotDir, "", nil)
	}
	r.mu.RLock()
	snap, err := r.cfg.DB.Snapshot()
	present := r.reader()
	r.mu.RUnlock()
	if err != nil {
		return nil, errs.E(op, errs.Other, "", err)
	}
	defer snap.Close()
	l := pastList{dir: dir, when: when, names: map[string]bool{}, nodes: map[NodeID]bool{}}
	l.next = func() *tx {
		t := *present
		t.src, t.caches, t.nodes, t.dirs, t.names, t.subs = snap, nil, nil, nil, nil, nil
		return &t
	}
	if err := l.ended(); err != nil {
		return nil, err
	}
	if err := l.present(); err != nil {
		return nil, err
	}
	slices.SortFunc(l.out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return l.out, nil
}

// LookupAt is what dir showed under a name at a moment. NotExist, NotDir.
func (r *Replica) LookupAt(dir NodeID, name string, when int64) (e Entry, err error) {
	const op = "namespace.LookupAt"
	if !dir.IsDir() {
		return e, errs.E(op, errs.NotDir, "", nil)
	}
	err = r.read(func(t *tx) error {
		now, past := t.named(dir, name)
		for _, f := range slices.Backward(past) { // the first that ended after it
			if f.Until() > when {
				if f.From > when {
					return errs.E(op, errs.NotExist, name, nil)
				}
				e = f.shown()
				return nil
			}
		}
		if now == nil || t.since(*now, t.clock()) > when {
			return errs.E(op, errs.NotExist, name, nil)
		}
		e = *now
		return nil
	})
	return e, err
}

// LastShown is how a node that shows nowhere did last. NotExist: history does not know.
func (r *Replica) LastShown(id NodeID) (e Entry, err error) {
	const op = "namespace.LastShown"
	err = r.read(func(t *tx) error {
		past := t.formers(t.keys.formerNode(id))
		if len(past) == 0 {
			return errs.E(op, errs.NotExist, "", nil)
		}
		e = past[0].shown()
		return nil
	})
	return e, err
}

func (t *tx) clock() int64 { return t.r.cfg.Clock().UnixNano() }

// shown is the state as an entry of its own.
func (f *Former) shown() Entry {
	e := f.Entry
	e.Conflict = nil
	return e
}

// pastList finds for each name the first state that ended after when; where there is none, what
// shows now is what showed then.
type pastList struct {
	dir  NodeID
	when int64
	next func() *tx // a reader of the one moment that all is read of; it forgets the page before

	names map[string]bool // that have such a state
	nodes map[NodeID]bool // that it is of
	out   []Entry
}

// pastPage is how many entries one reader keeps in memory.
const pastPage = 1024

func (l *pastList) ended() error {
	t := l.next()
	var keys []FormerKey
	for _, m := range t.formerFolder(l.dir).members {
		keys = append(keys, t.keysAfter(m, l.when)...)
	}
	if t.err != nil {
		return t.err
	}
	for page := range slices.Chunk(keys, pastPage) {
		t := l.next()
		for _, k := range page {
			g, ok := t.former(k)
			if !ok || l.names[g.Name] {
				continue
			}
			l.names[g.Name], l.nodes[g.ID] = true, true
			if g.From <= l.when {
				l.out = append(l.out, g.shown())
			}
		}
		if t.err != nil {
			return t.err
		}
	}
	return nil
}

func (l *pastList) present() error {
	for after, more := uint64(0), true; more; {
		t := l.next()
		if l.dir != Root && !t.node(l.dir).placed {
			return t.err
		}
		page := t.page(t.folder(l.dir), after, pastPage)
		for _, e := range page {
			after = e.Cookie
			if !l.names[e.Name] && !(l.nodes[e.ID] && e.Nlink == 1) && t.since(e.Entry, t.clock()) <= l.when {
				l.out = append(l.out, e.Entry)
			}
		}
		if more = len(page) > 0; t.err != nil {
			return t.err
		}
	}
	return nil
}

// page lists a part of a folder.
func (t *tx) page(f folder, after uint64, n int) []DirEntry {
	if len(f.members) == 1 {
		return t.list(f, after, n)
	}
	return t.listMerged(f, after, n)
}

// keysAfter is, for each name that dir itself had, the first row that ended after when.
func (t *tx) keysAfter(dir NodeID, when int64) (out []FormerKey) {
	prefix := t.keys.formerDir(dir)
	var name string
	t.fail(t.src.ScanKeys(prefix, func(k kv.Key) bool {
		at, ok := keyAt(k)
		if !ok || len(k) != len(prefix)+kv.HiddenLen+formerKeyLen || int64(at.Until) <= when {
			return true
		}
		if s := string(k[len(prefix) : len(prefix)+kv.HiddenLen]); s != name || len(out) == 0 {
			name, out = s, append(out, at)
		}
		return true
	}))
	return out
}

// Moments lists times at which something changed, newest first, thinned: each is the beginning of a
// minute of the last hour, of an hour of the last day, or of a day, in which a state ended. At tells
// what showed then, before those changes.
func (r *Replica) Moments() (out []time.Time, err error) {
	now := r.cfg.Clock()
	err = r.read(func(t *tx) error {
		prefix := t.db.Key(tableFormer)
		for before := uint64(now.UnixNano()) + 1; ; {
			at := uint64(0)
			rng := kv.Range{Prefix: prefix, From: t.keys.former(FormerKey{Until: before}), After: true, Reverse: true, KeysOnly: true}
			t.fail(t.src.ScanRange(rng, func(k kv.Key, _ []byte) bool {
				at = binary.BigEndian.Uint64(k[len(prefix):])
				return false
			}))
			if at == 0 || t.err != nil {
				return nil
			}
			m := bucket(time.Unix(0, int64(at)).In(now.Location()), now)
			out, before = append(out, m), uint64(max(m.UnixNano(), 1))
		}
	})
	return out, err
}

// bucket is the beginning of the minute, hour or day of at.
func bucket(at, now time.Time) time.Time {
	y, mo, d := at.Date()
	h, mi := at.Hour(), at.Minute()
	switch age := now.Sub(at); {
	case age >= 24*time.Hour:
		h, mi = 0, 0
	case age >= time.Hour:
		mi = 0
	}
	return time.Date(y, mo, d, h, mi, 0, 0, at.Location())
}
