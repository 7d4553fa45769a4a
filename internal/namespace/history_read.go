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

// Versions lists the old states of a path, newest first: what the path showed, and what the file
// that it shows, or showed last, was called before. now is what it shows now, nil for nothing. Any
// part of the path may be a name that is gone. NotExist: nothing is known of it. NotDir.
func (r *Replica) Versions(path string) (now *Entry, past []Former, err error) {
	const op = "namespace.Versions"
	err = r.read(func(t *tx) error {
		dir, name := Root, ""
		for s := range strings.SplitSeq(path, "/") {
			if s == "" || s == "." {
				continue
			}
			if name != "" {
				if dir = t.once(dir, name); dir.IsZero() {
					return errs.E(op, errs.NotExist, path, nil)
				}
			}
			if name = s; !dir.IsDir() {
				return errs.E(op, errs.NotDir, path, nil)
			}
		}
		if name == "" {
			e := t.root()
			now = &e
			return nil
		}
		now, past = t.versions(dir, name)
		if now == nil && len(past) == 0 {
			return errs.E(op, errs.NotExist, path, nil)
		}
		return nil
	})
	return now, past, err
}

// once is what dir shows under a name, or showed last; zero for nothing.
func (t *tx) once(dir NodeID, name string) NodeID {
	now, past := t.named(dir, name)
	switch {
	case now != nil:
		return now.ID
	case len(past) > 0:
		return past[0].ID
	}
	return NodeID{}
}

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

// versions is named, and what the node was elsewhere.
func (t *tx) versions(dir NodeID, name string) (now *Entry, past []Former) {
	now, past = t.named(dir, name)
	node := NodeID{}
	if now != nil {
		node = now.ID
	} else if len(past) > 0 {
		node = past[0].ID
	}
	for _, f := range t.formers(t.keys.formerNode(node)) {
		if !slices.ContainsFunc(past, func(g Former) bool { return g.Key == f.Key }) {
			past = append(past, f)
		}
	}
	newestFirst(past)
	return now, past
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
// The directory may be gone.
func (r *Replica) At(dir NodeID, when int64) (out []Entry, err error) {
	const op = "namespace.At"
	if !dir.IsDir() {
		return nil, errs.E(op, errs.NotDir, "", nil)
	}
	err = r.read(func(t *tx) error {
		out = t.at(dir, when)
		return nil
	})
	return out, err
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

func (t *tx) clock() int64 { return t.r.cfg.Clock().UnixNano() }

// shown is the state as an entry of its own.
func (f *Former) shown() Entry {
	e := f.Entry
	e.Conflict = nil
	return e
}

// at finds for each name the first state that ended after when; where there is none, what shows
// now is what showed then.
func (t *tx) at(dir NodeID, when int64) (out []Entry) {
	f := t.formerFolder(dir)
	names, nodes := map[string]bool{}, map[NodeID]bool{}
	for _, m := range f.members {
		for _, k := range t.keysAfter(m, when) {
			g, ok := t.former(k)
			if !ok || names[g.Name] {
				continue
			}
			names[g.Name], nodes[g.ID] = true, true
			if g.From <= when {
				out = append(out, g.shown())
			}
		}
	}
	if dir == Root || t.node(dir).placed {
		for _, e := range t.all(f) {
			if !names[e.Name] && !(nodes[e.ID] && e.Nlink == 1) && t.since(e, t.clock()) <= when {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out
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

// all lists a folder.
func (t *tx) all(f folder) (out []Entry) {
	const page = 1024
	for after := uint64(0); t.err == nil; {
		var es []DirEntry
		if len(f.members) == 1 {
			es = t.list(f, after, page)
		} else {
			es = t.listMerged(f, after, page)
		}
		if len(es) == 0 {
			break
		}
		for _, e := range es {
			after, out = e.Cookie, append(out, e.Entry)
		}
	}
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
