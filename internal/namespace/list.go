package namespace

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/shelffs/shelf/internal/kv"
)

// A cookie is the place of an entry in the order of its directory: the order of the hidden
// names in the store, so that pages need no sorting. The upper bits are those of the stored
// name's place; the lower count the entries derived from it (displaced files, conflict
// copies), which follow it.
const (
	cookieShift  = 8
	cookieFirst  = 16 // smaller ones are the caller's: for "." and ".."
	cookieOfName = 1<<63 - 1<<cookieShift
)

// cookieOf is the place of a name's row: the first bits of its hidden part.
func cookieOf(hidden []byte) uint64 {
	return max(binary.BigEndian.Uint64(hidden)>>1&cookieOfName, 1<<cookieShift)
}

// List returns up to about n entries of dir after a cookie (0: from the beginning); none
// means the end. "." and ".." are not among them; cookies are below 2^63 and never below 16.
// NotExist, NotDir.
func (r *Replica) List(dir NodeID, after uint64, n int) (out []DirEntry, err error) {
	err = r.read(func(t *tx) error {
		f, err := t.open("namespace.List", dir)
		if err != nil {
			return err
		}
		if len(f.members) == 1 {
			out = t.list(f, after, n)
		} else {
			out = t.listMerged(f, after, n)
		}
		return nil
	})
	return out, err
}

// list reads rows in order, without more memory than the page. Their nodes lie all over the store: the larger the
// page, the more of them come with one look at it.
func (t *tx) list(f folder, after uint64, n int) (out []DirEntry) {
	for from, more := after&cookieOfName, true; more && len(out) == 0; {
		var rows []placedName
		rows, from, more = t.namesFrom(f.id, from, max(n, 1)+1) // of the first all may have been told
		ids := make([]NodeID, 0, len(rows))
		for _, r := range rows {
			ids = append(ids, r.nodes...)
		}
		t.nodesAhead(ids)
		var last, end uint64 // place of the row before, and the cookie after its entries
		for _, r := range rows {
			if r.at != last {
				last, end = r.at, r.at
			}
			for _, e := range t.shownAs(f, r.nameRow) {
				if end > after {
					out = append(out, DirEntry{e, end})
				}
				end++
			}
		}
	}
	return out
}

// placedName is the row of a name, and its place in the order of the directory.
type placedName struct {
	nameRow
	at uint64
}

// namesFrom reads n rows of names from a place on; those of one place stay together. If there are more, they
// begin at next.
func (t *tx) namesFrom(dir NodeID, from uint64, n int) (rows []placedName, next uint64, more bool) {
	prefix := t.keys.names(dir)
	rng := kv.Range{Prefix: prefix}
	if from > 1<<cookieShift {
		rng.From = binary.BigEndian.AppendUint64(prefix.Clone(), from<<1)
	}
	t.fail(t.src.ScanRange(rng, func(k kv.Key, value []byte) bool {
		at := cookieOf(k[len(prefix):])
		if len(rows) >= n && at != rows[len(rows)-1].at {
			next, more = at, true
			return false
		}
		row, err := decodeName(value)
		if t.fail(err); err != nil {
			return false
		}
		rows = append(rows, placedName{row, at})
		return true
	}))
	return rows, next, more
}

// shownAs lists what f shows for one stored name.
func (t *tx) shownAs(f folder, row nameRow) []Entry {
	if e, ok := t.fast(f, row.name, row.nodes); ok {
		return []Entry{e}
	}
	var es []Entry
	g := t.group(f, row.name)
	for _, s := range g.All() {
		es = append(es, t.entry(f, s))
	}
	return es
}

// listMerged lists directories that are shown as one. Their orders differ, so all names are
// gathered first.
func (t *tx) listMerged(f folder, after uint64, n int) (out []DirEntry) {
	type place struct {
		at   uint64
		name string
	}
	var all []place
	seen := map[string]bool{}
	prefix := t.keys.names(f.id)
	for _, m := range f.members {
		t.fail(t.src.Scan(t.keys.names(m), func(_ kv.Key, value []byte) bool {
			row, err := decodeName(value)
			if t.fail(err); err != nil {
				return false
			}
			if !seen[row.name] {
				seen[row.name] = true
				hidden := t.db.Extend(prefix.Clone(), kv.HiddenString(row.name))[len(prefix):]
				all = append(all, place{cookieOf(hidden), row.name})
			}
			return true
		}))
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.name, b.name)) })
	for _, p := range all {
		if p.at < after&cookieOfName {
			continue
		}
		if len(out) >= max(n, 1) {
			break
		}
		g := t.group(f, p.name)
		for i, s := range g.All() {
			if c := p.at + uint64(i); c > after {
				out = append(out, DirEntry{t.entry(f, s), c})
			}
		}
	}
	return out
}
