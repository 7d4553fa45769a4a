package namespace

import (
	"errors"

	"github.com/shelffs/shelf/internal/kv"
)

// tableSeveral lists the names under which several nodes live: parent, hidden name → the name.
// Merged directories and displaced files hang on them, so that these are found without looking
// at every name of the share.
const tableSeveral = 'm'

// stateSeveral says that the table is there; a store from before it has none.
const stateSeveral = 16

func (k keys) several(dir NodeID, name string) kv.Key {
	return k.db.Key(tableSeveral, kv.Plain(dir[:]), kv.HiddenString(name))
}

// several keeps the row that says that several nodes live under a name.
func (t *tx) several(b *kv.Batch, k nameKey, was, now int) {
	switch {
	case now > 1 && was < 2:
		t.fail(b.Set(t.keys.several(k.parent, k.name), encodeSeveral(k.name)))
	case was > 1 && now < 2:
		t.fail(b.Delete(t.keys.several(k.parent, k.name)))
	}
}

func encodeSeveral(name string) []byte { return appendString([]byte{rowVersion}, name) }

func decodeSeveral(row []byte) (string, error) {
	d := decoder{b: row}
	version, name := d.byte(), d.string()
	if !d.end() || version != rowVersion {
		return "", corruptRow("names of several")
	}
	return name, nil
}

// indexSeveral makes the table in a store that was written before there was one.
func (r *Replica) indexSeveral() error {
	mark := r.keys.state(stateSeveral)
	if row, err := get(r.cfg.DB, mark); err != nil || row != nil {
		return err
	}
	b := r.cfg.DB.Batch()
	var bad error
	prefix := r.cfg.DB.Key(tableName)
	err := r.cfg.DB.Scan(prefix, func(k kv.Key, row []byte) bool {
		n, err := decodeName(row)
		if err == nil && len(k) < len(prefix)+len(NodeID{}) {
			err = corruptRow("name")
		}
		if err == nil && len(n.nodes) > 1 {
			err = b.Set(r.keys.several(NodeID(k[len(prefix):][:16]), n.name), encodeSeveral(n.name))
		}
		bad = err
		return err == nil
	})
	if err = errors.Join(err, bad, b.Set(mark, []byte{rowVersion})); err != nil {
		b.Close()
		return err
	}
	return b.Commit(kv.NoSync)
}

// severals compares the table with the rows of names.
func (c *checker) severals(d *derived) error {
	want := 0
	for _, ids := range d.names {
		if len(ids) > 1 {
			want++
		}
	}
	err := c.scan(tableSeveral, func(k kv.Key, row []byte) error {
		want--
		name, err := decodeSeveral(row)
		if err != nil || len(k) < 16 {
			return errors.Join(err, corruptRow("names of several"))
		}
		dir := NodeID(k[:16])
		if string(c.t.keys.several(dir, name)[1:]) != string(k) || len(d.names[string(c.t.keys.name(dir, name))]) < 2 {
			return differs("several nodes are said to live under %q in %v, and do not", name, dir)
		}
		return nil
	})
	if err == nil && want != 0 {
		err = differs("%d names of several nodes are not indexed", want)
	}
	return err
}
