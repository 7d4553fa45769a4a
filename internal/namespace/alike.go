package namespace

import (
	"errors"
	"maps"
	"slices"

	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// Spelling finds names of a directory that somebody spells otherwise: in the other case, or as
// they show on a system that cannot have them. It is local; nothing of it reaches another device.
type Spelling interface {
	// Keys lists what a name is to be found under. It is pure. What a name derived from
	// another has its keys from must be found under those of the other, too.
	Keys(name string) []string
	// Version changes whenever Keys answers differently.
	Version() string
}

// tableAlike is the index: parent, hidden key → the stored names that have the key and are not
// equal to it. So a name that is its own only key, as most are, has no row.
const tableAlike = 'f'

// stateAlike says by which Spelling the table was made; there is none without it.
const stateAlike = 19

func (k keys) alike(dir NodeID, key string) kv.Key {
	return k.db.Key(tableAlike, kv.Plain(dir[:]), kv.HiddenString(key))
}

// alikes keeps the index.
func (t *tx) alikes(b *kv.Batch) {
	if t.r.cfg.Spelling == nil {
		return
	}
	rows := alikeRows{}
	for k, x := range t.names {
		if there := len(x.nodes) > 0; x.dirty && there != (len(x.was) > 0) {
			rows.note(t, k, there)
		}
	}
	rows.write(t, b)
}

// alikeRows are rows that change.
type alikeRows map[nameKey]*alikeRow

type alikeRow struct {
	names []string
	was   int
}

// note enters a name that came or went.
func (rows alikeRows) note(t *tx, k nameKey, there bool) {
	for _, key := range t.r.cfg.Spelling.Keys(k.name) {
		if key == k.name {
			continue
		}
		at := nameKey{k.parent, key}
		row := rows[at]
		if row == nil {
			names := t.alikeRow(k.parent, key)
			row = &alikeRow{names, len(names)}
			rows[at] = row
		}
		i, found := slices.BinarySearch(row.names, k.name)
		switch {
		case there && !found:
			row.names = slices.Insert(row.names, i, k.name)
		case !there && found:
			row.names = slices.Delete(row.names, i, i+1)
		}
	}
}

func (rows alikeRows) write(t *tx, b *kv.Batch) {
	for at, row := range rows {
		k := t.keys.alike(at.parent, at.name)
		switch {
		case len(row.names) > 0:
			t.fail(b.Set(k, encodeAlike(row.names)))
		case row.was > 0:
			t.fail(b.Delete(k))
		}
	}
}

func encodeAlike(names []string) []byte {
	b := []byte{rowVersion}
	for _, n := range names {
		b = appendString(b, n)
	}
	return b
}

func decodeAlike(row []byte) (names []string, err error) {
	d := decoder{b: row}
	version := d.byte()
	for len(d.b) > 0 {
		names = append(names, d.string())
	}
	if !d.end() || version != rowVersion || len(names) == 0 || !slices.IsSorted(names) {
		return nil, corruptRow("names by spelling")
	}
	return names, nil
}

// alikeRow reads a row.
func (t *tx) alikeRow(dir NodeID, key string) []string {
	row := t.get(t.keys.alike(dir, key))
	if row == nil {
		return nil
	}
	names, err := decodeAlike(row)
	t.fail(err)
	return names
}

// Alike lists, for each key, the names that dir shows and that have it, each sorted. There are
// none without Config.Spelling. NotExist, NotDir.
func (r *Replica) Alike(dir NodeID, keys ...string) (out [][]string, err error) {
	out = make([][]string, len(keys))
	if r.cfg.Spelling == nil {
		return out, nil
	}
	err = r.read(func(t *tx) error {
		f, err := t.open("namespace.Alike", dir)
		if err != nil {
			return err
		}
		for i, key := range keys {
			out[i] = t.alike(f, key)
		}
		return nil
	})
	return out, err
}

func (t *tx) alike(f folder, key string) []string {
	names := t.storedAlike(f, key)
	if raw, _, ok := merge.ParseDerived(key); ok {
		for _, from := range append(t.storedAlike(f, raw), t.derivedFrom(f, key)...) {
			g := t.group(f, from)
			for _, s := range g.Derived {
				if slices.Contains(t.r.cfg.Spelling.Keys(s.Name), key) {
					names = append(names, s.Name)
				}
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return names
}

// storedAlike lists the stored names of f that have a key, sorted.
func (t *tx) storedAlike(f folder, key string) (names []string) {
	itself := false
	for _, m := range f.members {
		names = append(names, t.alikeRow(m, key)...)
		there, err := t.src.Has(t.keys.name(m, key))
		t.fail(err)
		itself = itself || there
	}
	if itself && slices.Contains(t.r.cfg.Spelling.Keys(key), key) {
		names = append(names, key)
	}
	if len(names) > 1 {
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return names
}

// alikeStep is how many names one batch of a new index holds.
const alikeStep = 4096

// indexAlike makes the index anew if it is not that of Config.Spelling. That takes time in
// proportion to the share, once.
func (r *Replica) indexAlike() error {
	mark := r.keys.state(stateAlike)
	was, err := get(r.cfg.DB, mark)
	want := ""
	if r.cfg.Spelling != nil && !r.blind() {
		want = r.cfg.Spelling.Version()
	}
	if err != nil || string(was) == want {
		return err
	}
	b := r.cfg.DB.Batch()
	if err := errors.Join(b.DeletePrefix(r.cfg.DB.Key(tableAlike)), b.Delete(mark)); err != nil {
		b.Close()
		return err
	}
	if err := b.Commit(kv.NoSync); err != nil || want == "" {
		return err
	}
	names := make([]nameKey, 0, alikeStep)
	flush := func() error {
		t, rows, b := r.reader(), alikeRows{}, r.cfg.DB.Batch()
		for _, k := range names {
			rows.note(t, k, true)
		}
		rows.write(t, b)
		names = names[:0]
		if t.err != nil {
			b.Close()
			return t.err
		}
		return b.Commit(kv.NoSync)
	}
	var bad error
	prefix := r.cfg.DB.Key(tableName)
	err = r.cfg.DB.Scan(prefix, func(k kv.Key, row []byte) bool {
		n, err := decodeName(row)
		if err == nil && len(k) < len(prefix)+len(NodeID{}) {
			err = corruptRow("name")
		}
		if err == nil {
			names = append(names, nameKey{NodeID(k[len(prefix):][:16]), n.name})
			if len(names) == alikeStep {
				err = flush()
			}
		}
		bad = err
		return err == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	b = r.cfg.DB.Batch()
	if err := b.Set(mark, []byte(want)); err != nil {
		b.Close()
		return err
	}
	return b.Commit(kv.NoSync)
}

// alikes compares the index with the rows of names, and what it finds with what shows.
func (c *checker) alikes(*derived) error {
	want := map[string][]string{}
	if c.t.r.cfg.Spelling != nil {
		for dir, kids := range c.tree.kids {
			if err := c.alikeIn(dir, kids); err != nil {
				return err
			}
		}
		prefix := c.t.db.Key(tableName)
		err := c.scan(tableName, func(k kv.Key, row []byte) error {
			n, err := decodeName(row)
			if err != nil {
				return err
			}
			for _, key := range c.t.r.cfg.Spelling.Keys(n.name) {
				if at := string(c.t.keys.alike(NodeID(k[:16]), key)[len(prefix):]); key != n.name {
					want[at] = append(want[at], n.name)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	got := map[string][]string{}
	err := c.scan(tableAlike, func(k kv.Key, row []byte) error {
		names, err := decodeAlike(row)
		got[string(k)] = names
		return err
	})
	for _, names := range want {
		slices.Sort(names)
	}
	if err == nil && !maps.EqualFunc(got, want, slices.Equal) {
		err = differs("the index of names by spelling has %d rows, and should have %d, or others", len(got), len(want))
	}
	return err
}

// alikeIn compares what is found by every key of a directory with what it shows.
func (c *checker) alikeIn(dir NodeID, kids map[string]Entry) error {
	want := map[string][]string{}
	for name := range kids {
		for _, key := range c.t.r.cfg.Spelling.Keys(name) {
			want[key] = append(want[key], name)
		}
	}
	f := c.t.folder(dir)
	for key, names := range want {
		slices.Sort(names)
		if got := c.t.alike(f, key); !slices.Equal(got, names) {
			return differs("in %v, %q finds %q, and should find %q", dir, key, got, names)
		}
	}
	return c.t.err
}
