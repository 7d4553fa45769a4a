// Package journal keeps what fsync has promised and no record names yet: small changes of files that are
// open, sealed like every row of the store and durable with one sync of it. A database that commits a
// hundred times a second so makes one version of its file when it rests, and not a hundred.
//
// The rows lie in the store of the namespace: the record that makes them needless comes in one batch
// with their end.
package journal

import (
	"encoding/binary"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kv"
	"github.com/shelffs/shelf/internal/namespace"
	"github.com/shelffs/shelf/internal/wire"
)

// table holds the rows: node, u64 number → row.
const table = 'j'

// Journal implements fs.Journal. Its methods may be called concurrently.
type Journal struct{ db *kv.DB }

var _ fs.Journal = (*Journal)(nil)

// Open returns the journal in db.
func Open(db *kv.DB) *Journal { return &Journal{db} }

// version of the rows.
const version = 1

type (
	row struct {
		_     struct{} `cbor:",toarray"`
		V     uint8    // version
		Base  []dot
		Root  []byte
		Depth uint8
		Was   uint64 // size of the content named by Root and Depth
		Size  uint64
		Mtime int64
		Parts []part
	}
	dot struct {
		_      struct{} `cbor:",toarray"`
		Writer []byte   // device 32, u32be incarnation
		Seq    uint64
	}
	part struct {
		_     struct{} `cbor:",toarray"`
		Off   uint64
		Zeros uint64
		Data  []byte
	}
)

func (j *Journal) key(id namespace.NodeID, number uint64) kv.Key {
	return j.db.Key(table, kv.Plain(id[:]), kv.U64(number))
}

// Append implements fs.Journal.
func (j *Journal) Append(id namespace.NodeID, number uint64, p fs.Promise) error {
	b := j.db.Batch()
	defer b.Close()
	if err := b.Set(j.key(id, number), encode(p)); err != nil {
		return err
	}
	return b.Commit(kv.NoSync)
}

// Sync implements fs.Journal.
func (j *Journal) Sync() error { return j.db.Sync() }

func encode(p fs.Promise) []byte {
	r := row{V: version, Root: p.Content.Root[:], Depth: p.Content.Depth, Was: p.Content.Size, Size: uint64(p.Size), Mtime: p.Mtime}
	for _, d := range p.Base {
		r.Base = append(r.Base, dot{Writer: d.Writer.Append(nil), Seq: d.Seq})
	}
	for _, x := range p.Parts {
		r.Parts = append(r.Parts, part{Off: uint64(x.Off), Zeros: uint64(x.Zeros), Data: x.Data})
	}
	return wire.Marshal(r)
}

// Forget implements fs.Journal.
func (j *Journal) Forget(id namespace.NodeID, from, upto uint64) namespace.Also {
	return func(b *kv.Batch) {
		for n := from; n <= upto; n++ {
			_ = b.Delete(j.key(id, n)) // a refused change fails the commit
		}
	}
}

// Drop implements fs.Journal.
func (j *Journal) Drop(id namespace.NodeID, from, upto uint64) error {
	b := j.db.Batch()
	defer b.Close()
	j.Forget(id, from, upto)(b)
	return b.Commit(kv.NoSync)
}

// Each implements fs.Journal. What cannot be read is Corrupt.
func (j *Journal) Each(fn func(id namespace.NodeID, number uint64, p fs.Promise) error) error {
	const op = "journal.Each"
	var failed error
	prefix := j.db.Key(table)
	err := j.db.Scan(prefix, func(k kv.Key, value []byte) bool {
		var id namespace.NodeID
		rest := k[len(prefix):]
		if len(rest) != len(id)+8 {
			failed = errs.E(op, errs.Corrupt, "key", nil)
			return false
		}
		copy(id[:], rest)
		number := binary.BigEndian.Uint64(rest[len(id):])
		p, err := parse(value)
		if err == nil {
			err = fn(id, number, p)
		}
		failed = err
		return err == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// parse is the inverse of encode.
func parse(b []byte) (p fs.Promise, err error) {
	var r row
	if err := wire.Unmarshal(b, &r); err != nil {
		return p, err
	}
	bad := errs.E("journal.parse", errs.Corrupt, "row", nil)
	if r.V != version || len(r.Root) != len(p.Content.Root) || r.Size > blocks.MaxSize {
		return p, bad
	}
	p.Content = blocks.Content{Root: blocks.Digest(r.Root), Depth: r.Depth, Size: r.Was}
	p.Size, p.Mtime = int64(r.Size), r.Mtime
	for _, d := range r.Base {
		if len(d.Writer) != len(ident.DeviceID{})+4 {
			return p, bad
		}
		w := ident.Writer{Device: ident.DeviceID(d.Writer[:32]), Incarnation: binary.BigEndian.Uint32(d.Writer[32:])}
		p.Base = append(p.Base, namespace.Dot{Writer: w, Seq: d.Seq})
	}
	for _, x := range r.Parts {
		if x.Off > r.Size || max(x.Zeros, uint64(len(x.Data))) > r.Size-x.Off {
			return p, bad
		}
		p.Parts = append(p.Parts, fs.Part{Off: int64(x.Off), Zeros: int64(x.Zeros), Data: x.Data})
	}
	return p, nil
}
