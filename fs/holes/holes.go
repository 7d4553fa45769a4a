// Package holes keeps what this device knows of holes in files: how much of a file's contents is none,
// which stat tells without reading a manifest.
package holes

import (
	"encoding/binary"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
)

// table holds the rows: node → u8 version, root 32, u64be bytes that are stored.
const table = 'z'

const (
	version = 1
	rowLen  = 1 + len(blocks.Digest{}) + 8
)

// Table implements fs.Holes. Its methods may be called concurrently.
type Table struct{ db *kv.DB }

var _ fs.Holes = (*Table)(nil)

// Open returns the table in db.
func Open(db *kv.DB) *Table { return &Table{db} }

func (t *Table) key(id namespace.NodeID) kv.Key { return t.db.Key(table, kv.Plain(id[:])) }

// Set implements fs.Holes. It does not wait for the disk, nor does Delete.
func (t *Table) Set(id namespace.NodeID, root blocks.Digest, stored uint64) error {
	row := append([]byte{version}, root[:]...)
	return t.change(func(b *kv.Batch) error { return b.Set(t.key(id), binary.BigEndian.AppendUint64(row, stored)) })
}

// Delete implements fs.Holes.
func (t *Table) Delete(id namespace.NodeID) error {
	return t.change(func(b *kv.Batch) error { return b.Delete(t.key(id)) })
}

func (t *Table) change(fn func(*kv.Batch) error) error {
	b := t.db.Batch()
	defer b.Close()
	if err := fn(b); err != nil {
		return err
	}
	return b.Commit(kv.NoSync)
}

// Each implements fs.Holes. It ends at a row that cannot be read, which is Corrupt.
func (t *Table) Each(fn func(id namespace.NodeID, root blocks.Digest, stored uint64)) error {
	var failed error
	prefix := t.db.Key(table)
	err := t.db.Scan(prefix, func(k kv.Key, row []byte) bool {
		var id namespace.NodeID
		if len(k) != len(prefix)+len(id) || len(row) != rowLen || row[0] != version {
			failed = errs.E("holes.Each", errs.Corrupt, "row", nil)
			return false
		}
		copy(id[:], k[len(prefix):])
		fn(id, blocks.Digest(row[1:rowLen-8]), binary.BigEndian.Uint64(row[rowLen-8:]))
		return true
	})
	if failed != nil {
		return failed
	}
	return err
}
