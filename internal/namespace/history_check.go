package namespace

import "github.com/shelffs/shelf/internal/kv"

// history compares the rows of old states with their indexes.
func (c *checker) history(*derived) error {
	t := c.t
	rows := 0
	err := c.scan(tableFormer, func(k kv.Key, row []byte) error {
		rows++
		at, _ := keyAt(k)
		f, err := decodeFormer(at, row, t.writers)
		if err != nil {
			return err
		}
		for _, index := range []kv.Key{t.keys.formerName(f.Parent, f.Name), t.keys.formerNode(f.ID)} {
			if ok, err := t.src.Has(t.db.Extend(index, at.parts()...)); err != nil || !ok {
				return differs("old state %v of %v is not in its index (%v)", at, f.ID, err)
			}
		}
		return nil
	})
	for _, table := range []byte{tableFormerName, tableFormerNode} {
		n := 0
		if err == nil {
			err = c.scan(table, func(kv.Key, []byte) error { n++; return nil })
		}
		if err == nil && n != rows {
			err = differs("%d old states, %d in index %q", rows, n, table)
		}
	}
	if err == nil {
		err = c.scan(tableFormerXattr, func(k kv.Key, row []byte) error {
			_, err := decodeFormerXattr(k, row)
			return err
		})
	}
	return err
}
